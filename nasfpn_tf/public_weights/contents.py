# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""What a published checkpoint is to its importer."""

import dataclasses
from collections.abc import Callable
from typing import Any

from official.vision.modeling import retinanet_model

from nasfpn_tf.modeling.weights.load_report import LoadReport


@dataclasses.dataclass(frozen=True)
class Contents:
  """A checkpoint that was opened.

  Attributes:
    settings: `task.model` of the detector, as far as the checkpoint and what lies beside it tell.
    fill: sets the weights of a detector that is built with them, all or, with a ValueError, none.
    keep_aspect_ratio: whether images were fitted into the input, or stretched to it.
    items: parts that it has, keys of `checkpoint_items`; None: all.
  """

  settings: dict[str, Any]
  fill: Callable[[retinanet_model.RetinaNetModel], LoadReport]
  keep_aspect_ratio: bool = True
  items: tuple[str, ...] | None = None

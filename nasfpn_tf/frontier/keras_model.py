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

"""Provides what all formats run by TensorFlow need: the number of threads, and counts of parameters and"
" multiply-adds."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def limit_threads(threads: int) -> None:
  """Limits the threads of TensorFlow; call it before TensorFlow has run anything."""
  tf.config.threading.set_intra_op_parallelism_threads(threads)
  tf.config.threading.set_inter_op_parallelism_threads(1 if threads == 1 else 2)


def count(model: Any, size: Sequence[int]) -> dict[str, Any]:
  """Returns `input_size`, `params` and `multiply_adds` of a Keras model."""
  from nasfpn_tf.modeling import cost

  counts = cost.multiply_adds_by_part(model, size)
  counts = {'neck' if part == 'decoder' else part: count for part, count in counts.items()}
  return {'input_size': size, 'params': cost.count_params(model), 'multiply_adds': counts}

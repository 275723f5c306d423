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


"""Exports a detector in any of the formats that `nasfpn_tf.artifacts.formats` lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasfpn_tf.artifacts import formats
from nasfpn_tf.export.source import Source


def export_model(
  source: Source, path: str, format_name: str | None = None, images: Sequence[np.ndarray] = (), **options: Any
) -> str:
  """Exports a detector in a format; returns the path of the result.

  Args:
    source: the detector.
    path: the file, or the directory of versions.
    format_name: as `formats.names` lists them; None: by the suffix of `path`, without one a SavedModel.
    images: uint8 [height, width, 3], to check and, where the format is quantized, to calibrate with.
    **options: of the format's exporter.

  Raises:
    ValueError: there is no such format, or no exporter of it; and whatever the exporter raises.
  """
  entry = formats.get(format_name) if format_name else formats.of_file(path) or formats.get('saved_model')
  if entry.exporter is None:
    raise ValueError(f'{path}: {entry.description} cannot be exported by this project.')
  return formats.load(entry.exporter)(source, path, images=images, **options)

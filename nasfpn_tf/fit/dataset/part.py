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
"""Defines a part of a data set: one annotation file or folder and its images."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Part:
  """One part, as `nasfpn_tf.data.sources.formats.read_dataset` takes it.

  Attributes:
    split: 'train', 'val', 'test', or '' where nothing says.
    format: a key of `formats.FORMATS`.
    annotations: path of the annotation file or folder.
    image_dir: folder that the names of the images are relative to.
    categories: file of class names, where the annotations have none.
    only: paths of the images that are meant, where it is not all of the folder.
  """

  split: str
  format: str
  annotations: str
  image_dir: str
  categories: str | None = None
  only: frozenset[str] | None = None

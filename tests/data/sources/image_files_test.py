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

"""Images found by the names that annotations give them."""

import pytest

from nasfpn_tf.data.sources.image_files import ImageDirectory


@pytest.fixture(name='directory')
def _directory(tmp_path):
  root = tmp_path / 'val2017'
  for name in ('1.jpg', 'sub/2.jpg', 'sub/3.jpg', 'other/3.jpg', '4.jpg', 'b/4.jpg'):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
  return ImageDirectory(root)


@pytest.mark.parametrize(
  ('name', 'found'),
  [
    ('1.jpg', '1.jpg'),
    ('images/1.jpg', '1.jpg'),
    ('images/val/1.jpg', '1.jpg'),
    ('C:\\set\\1.jpg', '1.jpg'),
    ('sub\\2.jpg', 'sub/2.jpg'),
    ('images/sub/2.jpg', 'sub/2.jpg'),
    ('2.jpg', 'sub/2.jpg'),
    ('sub/3.jpg', 'sub/3.jpg'),
    ('4.jpg', '4.jpg'),
  ],
)
def test_what_differs_in_prefix_or_slashes_alone_is_found(directory, name, found):
  assert directory.find(name) == found


@pytest.mark.parametrize(
  'name',
  ['3.jpg', 'a/b/4.jpg', 'images/5.jpg', 'train2017/1.jpg', 'other/2.jpg', '../1.jpg', 'null\0.jpg', '/', '2.JPG'],
)
def test_what_is_not_certain_stays_as_it_is(directory, name):
  assert directory.find(name) == name

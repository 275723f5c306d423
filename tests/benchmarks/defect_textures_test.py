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

import json

import cv2
import pytest

from benchmarks import defect_textures


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
  directory = tmp_path_factory.mktemp('textures')
  return directory, defect_textures.draw(directory, 12)


def test_every_class_is_marked_inside_its_image(drawn):
  directory, content = drawn
  assert json.loads((directory / 'annotations.json').read_text()) == content
  assert {annotation['category_id'] for annotation in content['annotations']} == set(range(1, 7))
  for annotation in content['annotations']:
    x, y, w, h = annotation['bbox']
    assert min(x, y) >= 0 and min(w, h) >= 4 and max(x + w, y + h) <= 200
  images = [cv2.imread(str(directory / 'images' / image['file_name'])) for image in content['images']]
  assert all(image.shape == (200, 200, 3) and image.std() > 2 for image in images)


def test_a_seed_gives_the_same_data_set(drawn, tmp_path):
  _, content = drawn
  assert defect_textures.draw(tmp_path, 12) == content
  assert defect_textures.draw(tmp_path, 12, seed=1) != content

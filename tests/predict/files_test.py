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

"""Tests of image files in and results out."""

import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from nasfpn_tf import predict
from nasfpn_tf.data.sources import images
from nasfpn_tf.predict import predictor as predictor_lib


class Corners(predict.Predictor):
  """Finds one object in the top left quarter and a doubtful one in the bottom right."""

  def __init__(self):
    super().__init__([{'label': 1, 'id': 40, 'name': 'top'}])

  def _detect(self, image):
    height, width = image.shape[:2]
    boxes = np.array([[0, 0, height / 2, width / 2], [height / 2, width / 2, height + 9, width]])
    return boxes, np.array([0.9, 0.2]), np.array([1, 2])


def _save(path, size=(40, 30), **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('RGB', size, (90, 120, 60)).save(path, **options)
  return str(path)


def test_results_and_annotated_images(tmp_path):
  paths = [_save(tmp_path / 'a' / 'x.png'), _save(tmp_path / 'b' / 'x.jpg', (100, 80)), str(tmp_path / 'a' / 'bad.jpg')]
  (tmp_path / 'a' / 'bad.jpg').write_bytes(b'not an image')
  failures = predict.predict_files(Corners(), paths, str(tmp_path / 'out'), score_threshold=0.5).failures
  assert list(failures) == [paths[2]]
  assert 'not an image' in failures[paths[2]]
  assert sorted(os.listdir(tmp_path / 'out')) == ['detections.json', 'x-2.jpg', 'x.jpg']
  results = json.loads((tmp_path / 'out' / 'detections.json').read_text())
  assert results[0] == {
    'image': paths[0],
    'annotated': 'x.jpg',
    'width': 40,
    'height': 30,
    'detections': [{'box': [0.0, 0.0, 20.0, 15.0], 'score': 0.9, 'label': 1, 'category_id': 40, 'name': 'top'}],
  }
  assert results[1]['image'] == paths[1]
  assert Image.open(tmp_path / 'out' / 'x-2.jpg').size == (100, 80)


def test_boxes_end_at_the_image_and_unknown_labels_are_numbers():
  found = Corners()(np.zeros([20, 30, 3], np.uint8))
  np.testing.assert_array_equal(found.boxes[1], [10, 15, 20, 30])
  assert found.names == ('top', '2')


def test_what_lies_beside_the_image_is_no_detection():
  class Beside(Corners):
    def _detect(self, image):
      boxes = np.array([[20.0, 2, 26, 9], [0, 30, 9, 33], [2, 2, 9, 9], [-5, 1, 0, 4]])
      return boxes, np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 1, 1])

  found = Beside()(np.zeros([20, 30, 3], np.uint8))
  assert found.boxes.tolist() == [[2, 2, 9, 9]] and len(found.names) == len(found.scores) == 1


def test_originals_are_never_replaced(tmp_path):
  path = _save(tmp_path / 'x.jpg')
  before = pathlib.Path(path).read_bytes()
  with pytest.raises(ValueError, match='choose an output_dir without images'):
    predict.predict_files(Corners(), [path], str(tmp_path))
  assert pathlib.Path(path).read_bytes() == before


def test_images_are_read_upright_and_in_rgb(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # Turned by 90 degrees.
  assert predict.read_image(_save(tmp_path / 'turned.jpg', (40, 30), exif=exif)).shape == (40, 30, 3)
  Image.new('L', (12, 10), 77).save(tmp_path / 'grey.png')
  np.testing.assert_array_equal(predict.read_image(str(tmp_path / 'grey.png')), np.full([10, 12, 3], 77))


@pytest.mark.parametrize('content', [None, b'', b'\xff\xd8\xff\xe0 broken'])
def test_unreadable_images(tmp_path, content):
  if content is not None:
    (tmp_path / 'x.jpg').write_bytes(content)
  with pytest.raises(images.ImageError):
    predict.read_image(str(tmp_path / 'x.jpg'))


def test_images_are_found(tmp_path):
  paths = [_save(tmp_path / 'p' / name) for name in ('a.jpg', 'b.PNG', 'sub/c.jpeg')]
  (tmp_path / 'p' / 'notes.md').touch()
  directory = str(tmp_path / 'p')
  assert predict.find_images([directory]) == paths[:2]
  assert predict.find_images([f'{directory}/**/*']) == paths
  assert predict.find_images([paths[1], directory]) == [paths[1], paths[0]]  # Each once, in the order given.
  (tmp_path / 'list.txt').write_text(f'{paths[2]}\n\n{directory}\n')
  assert predict.find_images([str(tmp_path / 'list.txt')]) == [paths[2], *paths[:2]]


@pytest.mark.parametrize('reference', ['absent.jpg', 'absent/*.jpg', 'empty'])
def test_no_images(tmp_path, reference):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(FileNotFoundError, match='no image'):
    predict.find_images([str(tmp_path / reference)])


def test_the_interface_is_abstract():
  with pytest.raises(TypeError):
    predictor_lib.Predictor([])

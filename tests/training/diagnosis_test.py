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

import numpy as np
import pytest

from nasfpn_tf.training import diagnosis, run_record
from nasfpn_tf.training.evaluation import CocoEvaluator

ANNOTATIONS = {
  'images': [{'id': i} for i in (1, 2, 3)],
  'categories': [{'id': 5, 'name': 'cat'}, {'id': 6, 'name': 'dog'}],
  'annotations': [
    {'id': 1, 'image_id': 1, 'category_id': 5, 'bbox': [0, 0, 40, 40]},
    {'id': 2, 'image_id': 2, 'category_id': 5, 'bbox': [0, 0, 40, 40]},
    {'id': 3, 'image_id': 2, 'category_id': 6, 'bbox': [100, 100, 40, 40]},
  ],
}


@pytest.fixture(name='found')
def fixture_found():
  """Image 1 is right, in image 2 a cat is taken for a dog and a dog is missed, in image 3 nothing is found."""
  evaluator = CocoEvaluator(ANNOTATIONS)
  box = [0.0, 0.0, 40.0, 40.0]
  evaluator.add([1], None, [[box]], [[0.9]], [[5]])
  evaluator.add([2], None, [[box]], [[0.8]], [[6]])
  evaluator.add([3], None, [[box, box]], [[0.7, 0.2]], [[5, 5]])
  evaluator.evaluate()
  return diagnosis.diagnose(evaluator)


def test_the_confusion_matrix_counts_each_object_and_each_detection_once(found):
  names = list(found.names)
  assert sorted(names[:-1]) == ['cat', 'dog'] and names[-1] == 'nothing'
  cat, dog, nothing = (names.index(name) for name in ('cat', 'dog', 'nothing'))
  expected = np.zeros([3, 3], int)
  expected[cat, cat] = 1
  expected[cat, dog] = 1
  expected[dog, nothing] = 1
  expected[nothing, cat] = 1  # The detection with a score of 0.2 does not count.
  np.testing.assert_array_equal(found.confusion, expected)


def test_images_are_ordered_by_what_is_right(found):
  assert [(image.image_id, image.f1) for image in found.images] == [(1, 1.0), (2, 0.0), (3, 0.0)]


def test_precision_over_recall_is_that_of_coco(found):
  assert list(found.precision) == ['IoU 0.50', 'IoU 0.75', 'IoU 0.90']
  assert found.recall[0] == 0.0 and found.recall[-1] == 1.0
  cat = np.asarray(found.precision_of['cat'])
  assert (cat[:51] == 1.0).all() and (cat[51:] == 0.0).all(), 'one of two cats, the most confident, is found'
  np.testing.assert_allclose(found.precision['IoU 0.50'], (cat + found.precision_of['dog']) / 2)
  json.dumps(found.to_json())


@pytest.mark.parametrize('text', ['', '[7]', '{"seven": 7}', '{"starts": "abc"}', '{"starts": [7]}'])
def test_a_damaged_record_of_starts_begins_anew(tmp_path, text):
  (tmp_path / 'run.json').write_text(text)
  run_record.add(str(tmp_path), 'train', 0)
  assert [start['mode'] for start in json.loads((tmp_path / 'run.json').read_text())['starts']] == ['train']


def test_each_start_of_a_run_is_recorded(tmp_path, monkeypatch):
  monkeypatch.setattr('sys.argv', ['scripts/train.py', '--model_dir=x'])
  run_record.add(str(tmp_path), 'train', 0)
  run_record.add(str(tmp_path), 'train_and_eval', 40)
  starts = json.loads((tmp_path / 'run.json').read_text())['starts']
  assert [(start['mode'], start['step']) for start in starts] == [('train', 0), ('train_and_eval', 40)]
  assert starts[1]['command'][1:] == ['scripts/train.py', '--model_dir=x']
  assert starts[1]['packages']['tensorflow'].startswith('2.')


def test_no_git_is_no_obstacle(monkeypatch):
  monkeypatch.setenv('PATH', '')
  assert run_record.revision() is None

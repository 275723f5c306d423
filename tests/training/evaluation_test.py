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

"""CocoEvaluator against published numbers, pycocotools and hand-made cases."""

import collections
import contextlib
import copy
import io
import json
import logging as python_logging

import numpy as np
import pytest
from pycocotools import coco as oracle_coco
from pycocotools import cocoeval as oracle_cocoeval

from nasfpn_tf.training import evaluation
from tests import testing

_METRICS = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10', 'ARmax100', 'ARs', 'ARm', 'ARl']


def _feed(evaluator, image_ids, results, batch_size=7):
  """Adds a COCO results list to an evaluator in padded batches, as a model would give it."""
  of_image = collections.defaultdict(list)
  for result in results:
    of_image[result['image_id']].append(result)
  most = max([1, *map(len, of_image.values())])
  for start in range(0, len(image_ids), batch_size):
    ids = image_ids[start : start + batch_size]
    boxes = np.full([len(ids), most, 4], np.nan)  # What lies beyond num_detections must not matter.
    scores, classes = np.full([len(ids), most], np.nan), np.ones([len(ids), most], np.int32)
    for row, image_id in enumerate(ids):
      for column, result in enumerate(of_image[image_id]):
        x, y, width, height = result['bbox']
        boxes[row, column] = y, x, y + height, x + width
        scores[row, column], classes[row, column] = result['score'], result['category_id']
    evaluator.add(ids, None, boxes, scores, classes, [len(of_image[i]) for i in ids])


def _oracle(ground_truth, results, max_detections=100):
  with contextlib.redirect_stdout(io.StringIO()):
    truth = oracle_coco.COCO()
    truth.dataset = copy.deepcopy(ground_truth)
    for number, box in enumerate(truth.dataset['annotations'], start=1):
      box['id'] = number  # pycocotools never finds an annotation with id 0.
    truth.createIndex()
    coco = oracle_cocoeval.COCOeval(truth, truth.loadRes(copy.deepcopy(results)), 'bbox')
    coco.params.maxDets = [1, 10, max_detections]
    coco.evaluate()
    coco.accumulate()
    coco.summarize()
  return coco


def _tiny_ground_truth():
  """Three images of 100x50 pixels, the last without objects; categories 7 and 3, in this order, and a crowd."""
  boxes = [(10, 7, [10, 10, 20, 20], 0), (10, 3, [50, 5, 40, 40], 0), (20, 7, [0, 0, 30, 40], 0)]
  crowd = (20, 3, [40, 0, 60, 50], 1)
  return {
    'images': [{'id': i, 'width': 100, 'height': 50} for i in (10, 20, 30)],
    'categories': [{'id': 7, 'name': 'cat'}, {'id': 3, 'name': 'dog'}],
    'annotations': [
      {'id': n, 'image_id': i, 'category_id': c, 'bbox': box, 'area': box[2] * box[3], 'iscrowd': crowd}
      for n, (i, c, box, crowd) in enumerate([*boxes, crowd])
    ],
  }


def _perfect_results(ground_truth):
  return [
    {'image_id': a['image_id'], 'category_id': a['category_id'], 'bbox': a['bbox'], 'score': 0.9}
    for a in ground_truth['annotations']
    if not a.get('iscrowd', 0)
  ]


@pytest.mark.parametrize('case', ['cocoapi_fake_bbox100', 'rodm_sampled_bbox_area', 'yolox_nano_coco_mini_val'])
def test_gives_the_published_metrics(case):
  root = testing.shared_data('coco_eval').parent
  expected = json.loads((root / 'coco_eval' / 'expected_metrics.json').read_text())[case]
  truth_path = root / expected['gt']
  evaluator = evaluation.CocoEvaluator(truth_path)
  image_ids = [image['id'] for image in json.loads(truth_path.read_text())['images']]
  results = json.loads((root / expected['results']).read_text())
  results = results['annotations'] if isinstance(results, dict) else results
  _feed(evaluator, image_ids, [r for r in results if r['image_id'] in set(image_ids)])

  metrics = evaluator.evaluate()
  reference = expected.get('official', {}) or expected['pycocotools_2_0_11']
  for name, value in reference.items():
    if name != 'detections':
      ours = metrics[name.replace('AR1', 'ARmax1') if name in ('AR1', 'AR10', 'AR100') else name]
      assert ours == pytest.approx(value, abs=6e-4), name  # The published values are rounded to 3 decimals.


def test_equals_pycocotools_to_the_last_digits_and_per_category():
  root = testing.shared_data('coco_eval').parent
  truth = json.loads((root / 'coco_mini' / 'annotations' / 'instances_val.json').read_text())
  ids = {image['id'] for image in truth['images']}
  results = json.loads((root / 'coco_eval' / 'yolox_nano_coco_all_val_results.json').read_text())
  results = [r for r in results if r['image_id'] in ids]
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, sorted(ids), results)
  metrics = evaluator.evaluate()

  coco = _oracle(truth, results)
  np.testing.assert_allclose([metrics[name] for name in _METRICS], coco.stats, atol=1e-6)
  names = {category['id']: category['name'] for category in truth['categories']}
  for k, category_id in enumerate(coco.params.catIds):
    precision = coco.eval['precision'][:, :, k, 0, -1]
    assert metrics[f'AP/{names[category_id]}'] == pytest.approx(precision[precision > -1].mean(), abs=1e-6)
  assert len(metrics) == 12 + 80


@pytest.mark.parametrize('dataset,split', [('bccd', 'val'), ('coco_mini', 'val'), ('coco_mini', 'train')])
def test_ground_truth_fed_back_scores_one(dataset, split):
  truth = json.loads((testing.shared_data(dataset) / 'annotations' / f'instances_{split}.json').read_text())
  evaluator = evaluation.CocoEvaluator(truth, max_detections=500)  # Above the boxes of any category in an image.
  _feed(evaluator, [image['id'] for image in truth['images']], _perfect_results(truth))
  metrics = evaluator.evaluate()
  assert metrics['AP'] == metrics['ARmax500'] == pytest.approx(1.0)
  assert all(value == pytest.approx(1.0) for name, value in metrics.items() if name.startswith('AP'))


def test_boxes_return_to_the_original_image():
  truth = _tiny_ground_truth()
  evaluator = evaluation.CocoEvaluator(truth)
  scale_y, scale_x = 2.56, 2.5  # 100 x 50 pixels resized to 250 x 128 for the network, then a crop at (4, 6).
  info = [[50, 100], [128, 250], [scale_y, scale_x], [4, 6]]
  for image_id in (10, 20, 30):
    mine = [r for r in _perfect_results(truth) if r['image_id'] == image_id]
    boxes, classes = np.zeros([1, 3, 4], np.float32), np.zeros([1, 3], np.int32)
    for column, result in enumerate(mine):
      x, y, width, height = result['bbox']
      corners = np.array([[y, x], [y + height, x + width]])
      boxes[0, column] = (corners * [scale_y, scale_x] - [4, 6]).reshape(4)
      classes[0, column] = result['category_id']
    evaluator.add([image_id], [info], boxes, np.ones([1, 3]), classes, [len(mine)])
  assert evaluator.evaluate()['AP'] == pytest.approx(1.0)
  found = sorted(evaluator.detections(), key=lambda r: (r['image_id'], r['category_id']))
  assert [r['category_id'] for r in found] == [3, 7, 7]
  np.testing.assert_allclose(found[0]['bbox'], [50, 5, 40, 40], atol=1e-4)


def test_labels_lead_to_the_users_category_ids():
  truth = _tiny_ground_truth()
  labels = [{'label': 1, 'id': 3, 'name': 'dog'}, {'label': 2, 'id': 7, 'name': 'cat'}]
  evaluator = evaluation.CocoEvaluator(truth, labels)
  label_of = {entry['id']: entry['label'] for entry in labels}
  results = [{**r, 'category_id': label_of[r['category_id']]} for r in _perfect_results(truth)]
  _feed(evaluator, [10, 20, 30], results)
  metrics = evaluator.evaluate()
  assert metrics['AP'] == metrics['AP/cat'] == metrics['AP/dog'] == pytest.approx(1.0)
  assert metrics['APl'] == -1  # No large object.
  assert {r['category_id'] for r in evaluator.detections()} == {3, 7}

  swapped = evaluation.CocoEvaluator(truth)
  _feed(swapped, [10, 20, 30], [{**r, 'category_id': 10 - r['category_id']} for r in _perfect_results(truth)])
  assert swapped.evaluate()['AP'] == 0


def test_an_image_without_ground_truth_can_only_lose():
  truth = _tiny_ground_truth()
  results = [*_perfect_results(truth), {'image_id': 30, 'category_id': 7, 'bbox': [0, 0, 9, 9], 'score': 0.99}]
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, [10, 20, 30], results)
  metrics = evaluator.evaluate()
  assert metrics['AP/cat'] < 0.7 and metrics['AP/dog'] == pytest.approx(1.0)
  np.testing.assert_allclose([metrics[n] for n in _METRICS], _oracle(truth, results).stats, atol=1e-6)


def test_no_detection_at_all_scores_zero():
  evaluator = evaluation.CocoEvaluator(_tiny_ground_truth())
  _feed(evaluator, [10, 20, 30], [])
  metrics = evaluator.evaluate()
  assert metrics['AP'] == metrics['ARmax100'] == metrics['AP/cat'] == 0
  assert evaluator.detections() == []


def test_an_annotation_with_id_zero_counts():
  truth = _tiny_ground_truth()
  assert truth['annotations'][0]['id'] == 0
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, [10, 20, 30], _perfect_results(truth))
  assert evaluator.evaluate()['AP/cat'] == pytest.approx(1.0)


def test_categories_of_one_name_are_told_apart():
  truth = _tiny_ground_truth()
  truth['categories'][1]['name'] = 'cat'
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, [10, 20, 30], _perfect_results(truth))
  assert {name for name in evaluator.evaluate() if '/' in name} == {'AP/cat (7)', 'AP/cat (3)'}


def test_an_image_added_twice_counts_once(caplog):
  truth = _tiny_ground_truth()
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, [10, 20, 30], _perfect_results(truth))
  wrong = np.array([[[0, 0, 5, 5.0]] * 2] * 2)
  evaluator.add([10, 30], None, wrong, np.ones([2, 2]), np.full([2, 2], 7))
  with caplog.at_level(python_logging.WARNING):
    metrics = evaluator.evaluate()
  assert metrics['AP'] == pytest.approx(1.0) and evaluator.num_images == 3
  assert '2 images were evaluated more than once' in caplog.text


def test_labels_without_a_category_are_left_out_with_a_warning(caplog):
  truth = _tiny_ground_truth()
  evaluator = evaluation.CocoEvaluator(truth)
  strays = [{'image_id': 10, 'category_id': c, 'bbox': [0, 0, 9, 9], 'score': 1.0} for c in (0, 5, 8, 90)]
  _feed(evaluator, [10, 20, 30], _perfect_results(truth) + strays)
  with caplog.at_level(python_logging.WARNING):
    assert evaluator.evaluate()['AP'] == pytest.approx(1.0)
  assert '4 detections have a label' in caplog.text


def test_missing_and_unknown_images_are_named():
  evaluator = evaluation.CocoEvaluator(_tiny_ground_truth())
  with pytest.raises(ValueError, match='Image id 99 is not in the annotations'):
    _feed(evaluator, [99], [])
  _feed(evaluator, [20], _perfect_results(_tiny_ground_truth())[2:])
  with pytest.raises(ValueError, match=r'2 of the 3 images .* first ones are \[10, 30\]'):
    evaluator.evaluate()
  assert evaluator.evaluate(allow_missing=True)['AP'] == pytest.approx(1.0)
  evaluator.reset()
  with pytest.raises(ValueError, match='3 of the 3 images'):
    evaluator.evaluate(allow_missing=True)


def test_a_diverged_model_is_named():
  evaluator = evaluation.CocoEvaluator(_tiny_ground_truth())
  with pytest.raises(ValueError, match='image 20 are not finite'):
    evaluator.add([20], None, np.full([1, 1, 4], np.nan), np.ones([1, 1]), np.ones([1, 1]), [1])


@pytest.mark.parametrize(
  'damage,message',
  [
    (lambda t: t.pop('images'), 'is not a COCO annotation file'),
    (lambda t: t['annotations'][1].pop('bbox'), 'is not a COCO annotation file'),
    (lambda t: t['images'].append(dict(t['images'][0])), 'image id 10 more than once'),
    (lambda t: t['categories'].append({'id': 3, 'name': 'cow'}), 'category id 3 more than once'),
    (lambda t: t['annotations'][2].update(image_id=77), 'annotation number 3: image 77'),
    (lambda t: t.update(annotations=t['annotations'][3:]), 'has no boxes'),
    (lambda t: t['annotations'].append('x'), 'is not a COCO annotation file'),
    (lambda t: t['images'][0].update(id='a.jpg'), "is not a COCO annotation file: .*'a.jpg'"),
    (lambda t: t['annotations'][1].update(bbox=[1, 2, 3]), 'is not a COCO annotation file'),
    (lambda t: t['annotations'][1]['bbox'].append(9), 'annotation number 2: a box of four finite numbers'),
    (lambda t: t['annotations'][0]['bbox'].__setitem__(2, float('nan')), 'annotation number 1: a box of four'),
  ],
)
def test_damaged_annotations_are_refused(tmp_path, damage, message):
  truth = _tiny_ground_truth()
  damage(truth)
  path = tmp_path / 'val.json'
  path.write_text(json.dumps(truth))
  with pytest.raises(ValueError, match=message) as error:
    evaluation.CocoEvaluator(path)
  assert str(path) in str(error.value)


@pytest.mark.parametrize('content', [b'', b'{"images": [', b'\xff\x00', b'[' * 100_000])
def test_annotations_that_are_not_json_are_named(tmp_path, content):
  path = tmp_path / 'val.json'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=r'val\.json: not JSON'):
    evaluation.CocoEvaluator(path)


@pytest.mark.parametrize(
  'labels,message',
  [
    ([{'label': 1, 'id': 7}], r'boxes of categories \[3\]'),
    ([{'label': 1, 'id': 7}, {'label': 1, 'id': 3}], 'occurs twice'),
    ([{'label': 1, 'id': 7}, {'label': 2, 'id': 7}], 'occurs twice'),
  ],
)
def test_labels_of_another_dataset_are_refused(labels, message):
  with pytest.raises(ValueError, match=message):
    evaluation.CocoEvaluator(_tiny_ground_truth(), labels)


def test_is_quiet_and_leaves_the_ground_truth_alone(capfd):
  truth = _tiny_ground_truth()
  before = copy.deepcopy(truth)
  evaluator = evaluation.CocoEvaluator(truth)
  _feed(evaluator, [10, 20, 30], _perfect_results(truth))
  evaluator.evaluate()
  assert truth == before
  assert capfd.readouterr() == ('', '')

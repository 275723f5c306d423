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
"""Tests of post-processing; Model Garden's generator is the oracle."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.modeling.layers import detection_generator as mg
from official.vision.ops import anchor

from nasfpn_tf.modeling import candidates, postprocess
from tests import testing

IMAGE_SIZE = (128, 192)
LEVELS = range(3, 8)
ANCHORS_PER_LOCATION = 3


def _anchors(batch):
  boxes = anchor.Anchor(3, 7, 1, [0.5, 1.0, 2.0], 4.0, IMAGE_SIZE).multilevel_boxes
  return {level: tf.tile(b[tf.newaxis], [batch, 1, 1, 1]) for level, b in boxes.items()}


def _raw_outputs(batch=2, num_classes=6, seed=0):
  """Outputs as of a trained head: almost all anchors see nothing, objects light up several anchors around them."""
  rng = np.random.default_rng(seed)
  cls_outputs, box_outputs = {}, {}
  for level in LEVELS:
    shape = [batch, -(-IMAGE_SIZE[0] >> level), -(-IMAGE_SIZE[1] >> level), ANCHORS_PER_LOCATION]
    logits = rng.normal(-6, 2, size=[*shape, num_classes])
    cls_outputs[str(level)] = tf.constant(logits.reshape([*shape[:3], -1]), tf.float32)
    box_outputs[str(level)] = tf.constant(rng.normal(0, 0.3, size=[*shape, 4]).reshape([*shape[:3], -1]), tf.float32)
  return box_outputs, cls_outputs


def _image_shape(batch):
  return tf.tile(tf.constant([[120.0, 180.0]]), [batch, 1])


def _num_pairs(cls_outputs, num_classes):
  return sum(int(np.prod(x.shape[1:])) for x in cls_outputs.values()) * (num_classes - 1) // num_classes


def _with_area(outputs, most=None):
  """The detections of Model Garden that have area, of which there may be no more than `most`, in its format.

  It keeps boxes that lie outside the image and have no area after clipping. They overlap nothing, so the others are the
  same without them, as long as they take nobody's place: let it find far more than `most`.
  """
  keys = ('detection_boxes', 'detection_scores', 'detection_classes')
  found = {key: np.zeros_like(outputs[key]) for key in keys}
  counts = []
  for image, num in enumerate(np.asarray(outputs['num_detections'])):
    scores = np.asarray(outputs['detection_scores'])[image, :num]
    # v1 and v2 count their padding of score 0.
    valid = np.flatnonzero((scores > 0) & (_area(np.asarray(outputs['detection_boxes'])[image, :num]) > 0))[:most]
    for key in keys:
      found[key][image, : len(valid)] = np.asarray(outputs[key])[image, valid]
    counts.append(len(valid))
  return {**found, 'num_detections': np.array(counts)}


def _assert_same_detections(actual, expected, tolerance=1e-3):
  """Same detections; scores that tie may come in any order."""
  np.testing.assert_array_equal(actual['num_detections'], expected['num_detections'])
  for image, num in enumerate(np.asarray(expected['num_detections'])):
    assert num > 10, 'the case is too easy to tell the generators apart'
    rows = []
    for outputs in (actual, expected):
      columns = [
        np.asarray(outputs['detection_classes'][image][:num], 'float64')[:, np.newaxis],
        np.asarray(outputs['detection_scores'][image][:num], 'float64')[:, np.newaxis],
        np.asarray(outputs['detection_boxes'][image][:num], 'float64'),
      ]
      table = np.concatenate(columns, axis=1)
      rows.append(table[np.lexsort(np.round(table, 3).T[::-1])])
    np.testing.assert_allclose(rows[0], rows[1], atol=tolerance)


@pytest.mark.parametrize('nms_version', ['class_offset', 'class_offset_xla'])
@pytest.mark.parametrize('oracle', ['v1', 'v2', 'batched'])
def test_detects_what_model_garden_detects(oracle, nms_version):
  boxes, scores = _raw_outputs()
  options = {'pre_nms_score_threshold': 0.05, 'nms_iou_threshold': 0.5}
  # v1 and v2 select by class, so that every class gets all of its candidates here and there.
  expected = mg.MultilevelDetectionGenerator(
    nms_version=oracle, pre_nms_top_k=5000, max_num_detections=1000, **options
  )(boxes, scores, _anchors(2), _image_shape(2))
  generator = postprocess.DetectionGenerator(
    nms_version=nms_version, pre_nms_top_k=_num_pairs(scores, 6), max_num_detections=50, **options
  )
  _assert_same_detections(generator(boxes, scores, _anchors(2), _image_shape(2)), _with_area(expected, 50))


@pytest.mark.parametrize('nms_version', ['class_offset', 'class_offset_xla'])
def test_boxes_that_all_have_area_are_those_of_model_garden(nms_version):
  """With the same limits: nothing is left out of either side."""
  boxes, scores = _raw_outputs()
  shape = tf.constant([[1e4, 1e4]] * 2)
  boxes = {level: tf.abs(encodings) for level, encodings in boxes.items()}  # None above or left of the image.
  expected = mg.MultilevelDetectionGenerator(nms_version='batched', pre_nms_top_k=5000, max_num_detections=50)(
    boxes, scores, _anchors(2), shape
  )
  assert (_area(expected['detection_boxes'].numpy()) > 0).all() and list(expected['num_detections']) == [50, 50]
  generator = postprocess.DetectionGenerator(
    nms_version=nms_version, pre_nms_top_k=_num_pairs(scores, 6), max_num_detections=50
  )
  _assert_same_detections(generator(boxes, scores, _anchors(2), shape), expected)


def test_detects_what_model_garden_detects_with_many_classes_and_unclipped_boxes():
  boxes, scores = _raw_outputs(batch=1, num_classes=91, seed=1)
  expected = mg.MultilevelDetectionGenerator(nms_version='batched', max_num_detections=100)(
    boxes, scores, _anchors(1), None
  )
  actual = postprocess.DetectionGenerator(pre_nms_top_k=_num_pairs(scores, 91))(boxes, scores, _anchors(1), None)
  _assert_same_detections(actual, expected)


@pytest.mark.parametrize('nms_version', ['class_offset', 'class_offset_xla'])
def test_candidates_of_every_class_are_those_of_model_garden(nms_version):
  boxes, scores = _raw_outputs()
  boxes = {level: tf.abs(encodings) for level, encodings in boxes.items()}  # None above or left of the image.
  options = {'pre_nms_top_k': 12, 'pre_nms_score_threshold': 0.01, 'max_num_detections': 50}
  arguments = (boxes, scores, _anchors(2), tf.constant([[1e4, 1e4]] * 2))
  expected = _with_area(mg.MultilevelDetectionGenerator(nms_version='v1', **options)(*arguments))
  generator = postprocess.DetectionGenerator(nms_version=nms_version, pre_nms_per_class=True, **options)
  _assert_same_detections(generator(*arguments), expected)
  of_an_image = postprocess.DetectionGenerator(nms_version=nms_version, **options)(*arguments)
  assert (of_an_image['num_detections'].numpy() < expected['num_detections']).all()


@pytest.mark.parametrize('nms_version', postprocess.NMS_VERSIONS)
def test_candidates_of_every_level_are_the_best_of_it(nms_version):
  """What is not among the best 9 of its level and image in NumPy gets a logit that is detected nowhere."""
  boxes, scores = _raw_outputs()
  options = {'nms_version': nms_version, 'pre_nms_score_threshold': 0.001, 'max_num_detections': 60}
  masked = {}
  for level, logits in scores.items():
    logits = logits.numpy().reshape([2, -1, 6])[..., 1:].copy()
    for image in logits.reshape([2, -1]):
      image[np.argsort(-image)[9:]] = -20
    masked[level] = tf.reshape(np.pad(logits, [(0, 0), (0, 0), (1, 0)]), scores[level].shape)
  arguments = (_anchors(2), _image_shape(2))
  expected = postprocess.DetectionGenerator(pre_nms_top_k=_num_pairs(scores, 6), **options)(boxes, masked, *arguments)
  options['pre_nms_top_k'] = 9
  actual = postprocess.DetectionGenerator(pre_nms_per_level=True, **options)(boxes, scores, *arguments)
  _assert_same_detections(actual, expected)
  of_an_image = postprocess.DetectionGenerator(**options)(boxes, scores, *arguments)
  assert (of_an_image['num_detections'].numpy() + 10 < actual['num_detections'].numpy()).all()


def test_box_coder_that_counts_the_last_pixel():
  anchors = tf.constant([[[10.0, 20.0, 29.0, 59.0]] * 3])  # 20 x 40 pixels with the last ones.
  codes = tf.constant([[[0.0, 0.0, 0.0, 0.0], [0.5, -0.25, np.log(0.5), 0.0], [0.0, 9.0, 0.0, 0.0]]])
  boxes = candidates.decode(codes, anchors, None, None, plus_one=True)[0]
  np.testing.assert_allclose(boxes[:2], [[10, 20, 29, 59], [25, 10, 34, 49]], atol=1e-4)
  clipped = candidates.decode(codes, anchors, tf.constant([[28, 50]]), None, plus_one=True)[0]
  np.testing.assert_allclose(clipped, [[10, 20, 27, 49], [25, 10, 27, 49], [10, 49, 27, 49]], atol=1e-4)


def test_soft_nms_is_that_of_model_garden():
  boxes, scores = _raw_outputs(seed=2)
  options = {'soft_nms_sigma': 0.3, 'pre_nms_score_threshold': 0.1}
  theirs = mg.MultilevelDetectionGenerator(nms_version='v1', pre_nms_top_k=5000, max_num_detections=1000, **options)(
    boxes, scores, _anchors(2), _image_shape(2)
  )
  expected = _with_area(theirs, 50)
  options.update(max_num_detections=50, pre_nms_top_k=_num_pairs(scores, 6))
  actual = postprocess.DetectionGenerator(**options)(boxes, scores, _anchors(2), _image_shape(2))
  plain = postprocess.DetectionGenerator(**{**options, 'soft_nms_sigma': None})(
    boxes, scores, _anchors(2), _image_shape(2)
  )
  np.testing.assert_array_equal(actual['num_detections'], expected['num_detections'])
  np.testing.assert_allclose(actual['detection_scores'], expected['detection_scores'][:, :50], atol=1e-5)
  assert np.abs(np.asarray(plain['detection_scores']) - np.asarray(actual['detection_scores'])).max() > 0.01


def test_fewer_candidates_give_the_best_of_the_detections():
  boxes, scores = _raw_outputs(batch=1)
  full = postprocess.generate_detections(scores, boxes, _anchors(1), pre_nms_top_k=_num_pairs(scores, 6))
  few = postprocess.generate_detections(scores, boxes, _anchors(1), pre_nms_top_k=60)
  num = int(few['num_detections'][0])
  assert 10 < num < int(full['num_detections'][0])
  for key in ('detection_boxes', 'detection_scores', 'detection_classes'):
    np.testing.assert_allclose(few[key][0, :num], full[key][0, :num], atol=1e-4)
    assert not np.any(few[key][0, num:]), 'what follows the detections is zero'


def _one_level(logits, boxes=None):
  """One image, one level of 1 x n positions, one anchor each, all of 16 x 16 pixels at the same place."""
  logits = tf.constant(logits, tf.float32)
  n = logits.shape[0]
  anchors = tf.constant([[[8.0, 8.0, 24.0, 24.0] * n]])
  boxes = tf.zeros([1, 1, n, 4]) if boxes is None else tf.constant(boxes, tf.float32)
  return {'3': boxes}, {'3': logits[tf.newaxis, tf.newaxis]}, {'3': tf.reshape(anchors, [1, 1, n, 4])}


@pytest.mark.parametrize('nms_version', postprocess.NMS_VERSIONS)
def test_classes_suppress_each_other_only_when_told_to(nms_version):
  boxes, scores, anchors = _one_level([[9.0, 2.0, -9.0, -9.0], [9.0, -9.0, 1.0, -9.0], [9.0, 1.5, -9.0, -9.0]])
  by_class = postprocess.DetectionGenerator(nms_version=nms_version)(boxes, scores, anchors, None)
  across = postprocess.DetectionGenerator(nms_version=nms_version, use_class_agnostic_nms=True)(
    boxes, scores, anchors, None
  )
  # The logits of class 0 are of the background and never detected.
  assert by_class['detection_classes'][0, :3].numpy().tolist() == [1, 2, 0]
  np.testing.assert_allclose(by_class['detection_scores'][0, :2], tf.sigmoid([2.0, 1.0]), atol=1e-6)
  np.testing.assert_allclose(by_class['detection_boxes'][0, :2], [[8, 8, 24, 24]] * 2, atol=1e-4)
  assert int(by_class['num_detections'][0]) == 2
  assert across['detection_classes'][0, :2].numpy().tolist() == [1, 0]


def test_nothing_above_the_threshold_is_no_detection():
  boxes, scores, anchors = _one_level([[0.0, -5.0, -4.0]])
  outputs = postprocess.DetectionGenerator(max_num_detections=7)(boxes, scores, anchors, tf.constant([[64.0, 64.0]]))
  assert int(outputs['num_detections'][0]) == 0
  assert outputs['detection_boxes'].shape == (1, 7, 4)
  assert not np.any(outputs['detection_scores']) and not np.any(outputs['detection_boxes'])


def test_boxes_are_clipped_to_the_image():
  boxes, scores, anchors = _one_level([[0.0, 3.0]])
  outputs = postprocess.DetectionGenerator()(boxes, scores, anchors, tf.constant([[20.0, 12.0]]))
  np.testing.assert_allclose(outputs['detection_boxes'][0, 0], [8, 8, 20, 12], atol=1e-4)


@pytest.mark.parametrize(
  'options', [{}, {'nms_version': 'class_offset_xla'}, {'soft_nms_sigma': 0.5}, {'use_class_agnostic_nms': True}]
)
@pytest.mark.parametrize('image_shape', [[30.0, 40.0], [120.0, 24.0]])
def test_boxes_without_area_are_no_detections(options, image_shape):
  """At the lower or the right edge, once they are clipped; the rest is what Model Garden's boxes with area are."""
  boxes, scores = _raw_outputs(seed=3)
  shape = tf.tile(tf.constant([image_shape]), [2, 1])
  options = {'max_num_detections': 300, **options}
  found = postprocess.DetectionGenerator(**options)(boxes, scores, _anchors(2), shape)
  decoded, _ = postprocess.decode_raw(scores, boxes, _anchors(2), shape)
  assert (_area(decoded.numpy()) == 0).mean() > 0.3
  for image, count in enumerate(found['num_detections'].numpy()):
    assert count > 5 and (_area(found['detection_boxes'][image, :count].numpy()) > 0).all()
    best = found['detection_scores'][image].numpy()
    assert list(best) == sorted(best, reverse=True) and not best[count:].any() and (best[:count] > 0).all()
  if options.keys() == {'max_num_detections'}:
    theirs = mg.MultilevelDetectionGenerator(nms_version='batched', pre_nms_top_k=5000, max_num_detections=1000)(
      boxes, scores, _anchors(2), shape
    )
    for image, count in enumerate(theirs['num_detections'].numpy()):
      has_area = _area(theirs['detection_boxes'][image, :count].numpy()) > 0
      expected = theirs['detection_scores'][image, :count].numpy()[has_area]
      assert not has_area.all()
      np.testing.assert_allclose(found['detection_scores'][image, : len(expected)].numpy(), expected[:300], atol=1e-5)


def _area(boxes):
  return np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)


@pytest.mark.parametrize('options', [{'apply_nms': False}, {'return_decoded': True}])
def test_decoded_boxes_are_those_of_model_garden(options):
  boxes, scores = _raw_outputs()
  weights = [10.0, 10.0, 5.0, 5.0]
  arguments = (boxes, scores, _anchors(2), _image_shape(2))
  expected = mg.MultilevelDetectionGenerator(nms_version='batched', box_coder_weights=weights, **options)(*arguments)
  actual = postprocess.DetectionGenerator(box_coder_weights=weights, **options)(*arguments)
  assert ('detection_boxes' in actual) == options.get('apply_nms', True)
  for key in ('decoded_boxes', 'decoded_box_scores'):
    assert actual[key].shape == expected[key].shape
    testing.assert_close(actual[key], expected[key], 1e-4)


def test_bfloat16_outputs_give_float32_detections():
  boxes, scores = _raw_outputs()
  half = {level: tf.cast(b, tf.bfloat16) for level, b in boxes.items()}
  half_scores = {level: tf.cast(s, tf.bfloat16) for level, s in scores.items()}
  rounded = {level: tf.cast(b, tf.float32) for level, b in half.items()}
  rounded_scores = {level: tf.cast(s, tf.float32) for level, s in half_scores.items()}
  generator = postprocess.DetectionGenerator()
  actual = generator(half, half_scores, _anchors(2), _image_shape(2))
  expected = generator(rounded, rounded_scores, _anchors(2), _image_shape(2))
  assert actual['detection_boxes'].dtype == actual['detection_scores'].dtype == tf.float32
  testing.assert_close(actual, expected, 0.0)


def test_the_batch_may_be_unknown_while_tracing():
  boxes, scores = _raw_outputs(batch=3)
  generator = postprocess.DetectionGenerator()
  signature = [
    {level: tf.TensorSpec([None, *x.shape[1:]]) for level, x in part.items()} for part in (boxes, scores, _anchors(3))
  ]
  traced = tf.function(lambda b, s, a: generator(b, s, a, None), input_signature=signature)
  assert traced.get_concrete_function().structured_outputs['detection_boxes'].shape.as_list() == [None, 100, 4]
  testing.assert_close(traced(boxes, scores, _anchors(3)), generator(boxes, scores, _anchors(3), None), 1e-4)


def test_anchors_without_a_batch_serve_every_image():
  boxes, scores = _raw_outputs()
  single = {level: a[0] for level, a in _anchors(2).items()}
  testing.assert_close(
    postprocess.generate_detections(scores, boxes, single),
    postprocess.generate_detections(scores, boxes, _anchors(2)),
    0.0,
  )
  testing.assert_close(
    postprocess.decode_raw(scores, boxes, single), postprocess.decode_raw(scores, boxes, _anchors(2)), 0.0
  )


def test_xla_compiles_its_version_with_the_same_result():
  boxes, scores = _raw_outputs()
  generator = postprocess.DetectionGenerator(nms_version='class_offset_xla')
  compiled = tf.function(lambda b, s: generator(b, s, _anchors(2), _image_shape(2)), jit_compile=True)
  expected = postprocess.DetectionGenerator()(boxes, scores, _anchors(2), _image_shape(2))
  _assert_same_detections(compiled(boxes, scores), expected)


def test_config_round_trip():
  generator = postprocess.DetectionGenerator(
    pre_nms_top_k=7, max_num_detections=3, nms_version='class_offset_xla', box_coder_weights=[1.0, 2.0, 3.0, 4.0]
  )
  rebuilt = postprocess.DetectionGenerator.from_config(generator.get_config())
  assert rebuilt.get_config() == generator.get_config()
  assert rebuilt.get_config()['apply_nms'] is True and rebuilt.get_config()['pre_nms_top_k'] == 7


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'nms_version': 'v9'}, 'v9'),
    ({'nms_version': 'class_offset_xla', 'soft_nms_sigma': 0.5}, 'soft'),
    ({'pre_nms_per_class': True, 'pre_nms_per_level': True}, 'exclude each other'),
  ],
)
def test_wrong_options_are_named(options, message):
  with pytest.raises(ValueError, match=message):
    postprocess.DetectionGenerator(**options)


def test_attributes_are_refused():
  boxes, scores, anchors = _one_level([[0.0, 3.0]])
  with pytest.raises(ValueError, match='v1'):
    postprocess.DetectionGenerator()(boxes, scores, anchors, None, {'depth': boxes})

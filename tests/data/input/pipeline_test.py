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

"""Reading, sharing out and parsing records; Model Garden's parser is the oracle of ours."""

import numpy as np
import pytest
import tensorflow as tf
from official.vision.dataloaders import retinanet_input, tf_example_decoder

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.input.augment.augmentation import Augmentation
from nasfpn_tf.data.input.augment.color import Color
from nasfpn_tf.data.input.augment.flip import HorizontalFlip, VerticalFlip
from nasfpn_tf.data.input.labels import BACKGROUND, AnchorLabeler
from nasfpn_tf.data.input.pipeline import RecordParser, make_batches, read_records
from nasfpn_tf.data.records.manifest import match_shards
from tests.data import synthetic

SIZE = (128, 128)
NO_SEED = np.zeros(2, np.int64)


def ids_of(dataset: tf.data.Dataset) -> list[int]:
  """Source ids of serialized records."""
  return [int(tf.train.Example.FromString(r.numpy()).features.feature['image/source_id'].bytes_list.value[0])
          for r, _ in dataset]  # fmt: skip


def parse(serialized: bytes, **settings) -> tuple[tf.Tensor, dict]:
  """Returns the image and its labels as `make_batches` gives them, without the batch."""
  parser = RecordParser(SIZE, **settings)
  image, objects = parser(tf.constant(serialized), tf.constant('shard'), tf.constant(NO_SEED))
  labels = AnchorLabeler(SIZE)(objects.pop('boxes'), objects.pop('classes'))
  return image, {**labels, **objects}


def positives(labels: dict) -> int:
  return sum(int(np.sum(level != BACKGROUND)) for level in labels['cls_targets'].values())


@pytest.mark.parametrize('is_training', [True, False])
def test_parser_is_model_gardens(is_training):
  theirs = retinanet_input.Parser(SIZE, 3, 7, 3, [0.5, 1.0, 2.0], 4.0, max_num_instances=5, dtype='float32')
  decoder = tf_example_decoder.TfExampleDecoder()
  for seed, (height, width) in enumerate([(128, 128), (90, 200), (300, 110), (64, 48)]):
    # Sizes, boxes and areas with few binary digits make the two agree to the last bit, ties of anchors included.
    boxes = np.round(synthetic.random_boxes(7, seed, least=0.1) * 32) / 32
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1 / 32)
    serialized = synthetic.example(
      synthetic.encode(synthetic.image(height, width, seed)), boxes, range(1, 8), str(seed), [0] * 7, range(10, 17)
    )
    expected, expected_labels = theirs.parse_fn(is_training)(decoder.decode(serialized))
    image, labels = parse(serialized, groundtruths=not is_training, max_num_instances=5)
    np.testing.assert_allclose(image, expected, atol=1e-4)
    for name in ('image_info', 'cls_weights', 'box_weights'):
      np.testing.assert_array_equal(labels[name], expected_labels[name], err_msg=name)
    for level, targets in expected_labels['cls_targets'].items():
      np.testing.assert_array_equal(labels['cls_targets'][level], targets)
      is_positive = np.repeat(targets != BACKGROUND, 4, axis=-1)
      box_targets = np.where(is_positive, expected_labels['box_targets'][level], 0.0)
      np.testing.assert_allclose(labels['box_targets'][level], box_targets, atol=1e-5)
    assert set(labels) == set(expected_labels) - {'anchor_boxes'} | {'source_id'}
    for name, values in expected_labels.get('groundtruths', {}).items():
      np.testing.assert_allclose(labels['groundtruths'][name], values, atol=1e-4, err_msg=name)
      assert labels['groundtruths'][name].dtype == values.dtype, name


def test_crowds_are_ground_truth_but_no_targets():
  encoded = synthetic.encode(synthetic.image())
  box = [[0.1, 0.1, 0.7, 0.7]]
  _, crowd = parse(synthetic.example(encoded, box, [3], is_crowd=[1]), groundtruths=True)
  _, single = parse(synthetic.example(encoded, box, [3], is_crowd=[0]), groundtruths=True)
  _, kept = parse(synthetic.example(encoded, box, [3], is_crowd=[1]), skip_crowd=False)
  assert positives(crowd) == 0 < positives(single) == positives(kept)
  assert crowd['groundtruths']['is_crowds'][0] == 1 and crowd['groundtruths']['classes'][0] == 3


def test_an_image_without_objects_is_background():
  _, labels = parse(synthetic.example(synthetic.encode(synthetic.image())), groundtruths=True)
  assert positives(labels) == 0
  assert np.all(labels['cls_weights'] == 1.0) and np.all(labels['box_weights'] == 0.0)
  assert labels['groundtruths']['num_detections'] == [0] and np.all(labels['groundtruths']['boxes'] == -1.0)


def test_all_of_many_boxes_are_targets_and_the_ground_truth_is_cut():
  # Each is exactly one anchor of 32 pixels.
  boxes = np.float32([[y, x, y + 32, x + 32] for y in range(4, 96, 8) for x in range(4, 96, 8)]) / 128
  serialized = synthetic.example(synthetic.encode(synthetic.image(128, 128)), boxes, range(1, 145))
  _, labels = parse(serialized, groundtruths=True, max_num_instances=100)
  targets = np.concatenate([np.ravel(level) for level in labels['cls_targets'].values()])
  assert set(targets) == {BACKGROUND, *range(1, 145)}
  assert labels['groundtruths']['boxes'].shape == (100, 4)
  assert labels['groundtruths']['num_detections'] == [144]


@pytest.mark.parametrize('num_shards', [1, 2, 5])
@pytest.mark.parametrize('num_pipelines', [1, 2, 3])
@pytest.mark.parametrize('take_examples', [0, 7])
def test_pipelines_share_the_records_out(tmp_path, num_shards, num_pipelines, take_examples):
  files = match_shards(synthetic.write_shards(tmp_path, 11, num_shards, num_boxes=1))
  whole = ids_of(read_records(files, is_training=False, take_examples=take_examples))
  assert len(set(whole)) == len(whole) == (take_examples or 11)
  parts = [
    ids_of(read_records(files, False, None, num_pipelines, index, take_examples=take_examples))
    for index in range(num_pipelines)
  ]
  assert sorted(source_id for part in parts for source_id in part) == sorted(whole)


@pytest.mark.parametrize('cache', [False, True])
def test_training_visits_every_record_once_an_epoch_in_another_order(tmp_path, cache):
  files = match_shards(synthetic.write_shards(tmp_path, 12, 3, num_boxes=1))
  ids = ids_of(read_records(files, is_training=True, seed=3, cache=cache).take(36))
  epochs = [ids[start : start + 12] for start in (0, 12, 24)]
  assert all(sorted(epoch) == list(range(1, 13)) for epoch in epochs)
  assert epochs[0] != epochs[1] != epochs[2]


def test_take_examples_keeps_the_first_records(tmp_path):
  files = match_shards(synthetic.write_shards(tmp_path, 12, 3, num_boxes=1))
  first = ids_of(read_records(files, is_training=False))[:4]
  ids = ids_of(read_records(files, is_training=True, take_examples=4).take(8))
  assert sorted(ids[:4]) == sorted(ids[4:]) == sorted(first)


def batches(files: list[str], seed: int | None, is_training: bool = True, **settings) -> tf.data.Dataset:
  parser = RecordParser(
    SIZE,
    augmentation=Augmentation((HorizontalFlip(), VerticalFlip(), Color(0.5)), 0.5, 1.5) if is_training else None,
    **settings,
  )
  return make_batches(
    read_records(files, is_training, seed), parser, AnchorLabeler(SIZE), 4, drop_remainder=is_training, seed=seed
  )


def test_a_seed_gives_the_same_batches(tmp_path):
  files = match_shards(synthetic.write_shards(tmp_path, 10, 2))
  runs = [list(batches(files, seed).take(4)) for seed in (5, 5, 6)]
  for (images, labels), (same_images, same_labels) in zip(runs[0], runs[1], strict=True):
    np.testing.assert_array_equal(images, same_images)
    tf.nest.map_structure(np.testing.assert_array_equal, labels, same_labels)
  assert any(np.any(a[0] != b[0]) for a, b in zip(runs[0], runs[2], strict=True))


def test_no_seed_gives_others(tmp_path):
  files = match_shards(synthetic.write_shards(tmp_path, 4))
  first, second = (next(iter(batches(files, None)))[0] for _ in range(2))
  assert np.any(first != second)


def test_an_image_is_augmented_anew_every_time(tmp_path):
  files = match_shards(synthetic.write_shards(tmp_path, 1))
  images, _ = next(iter(batches(files, 1)))
  assert all(np.any(images[0] != image) for image in images[1:])


def test_labels_compile_with_static_shapes(tmp_path):
  files = match_shards(synthetic.write_shards(tmp_path, 5))
  dataset = batches(files, 1, dtype='bfloat16')
  assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(dataset.element_spec))

  @tf.function(jit_compile=True)
  def loss(images, labels):
    loss = tf.reduce_mean(tf.cast(images, tf.float32))
    for level, targets in labels['cls_targets'].items():
      loss += tf.reduce_sum(tf.one_hot(targets, 6)) + tf.reduce_sum(labels['box_targets'][level])
    return loss + tf.reduce_sum(labels['cls_weights']) + tf.reduce_sum(labels['anchor_boxes']['7'])

  images, labels = next(iter(dataset))
  assert images.dtype == tf.bfloat16 and images.shape == (4, *SIZE, 3)
  assert np.isfinite(loss(images, labels))


def test_bytes_are_the_same_image_with_the_same_labels():
  boxes = np.array([[0.1, 0.2, 0.6, 0.7]], np.float32)
  encoded = synthetic.encode(synthetic.image(90, 200, 0))
  serialized = synthetic.example(encoded, boxes, [1], '7', [0], [10.0])
  augmentation = Augmentation((HorizontalFlip(),), 0.5, 1.5)
  for each in (None, augmentation):
    image, labels = parse(serialized, augmentation=each)
    rounded, same_labels = parse(serialized, augmentation=each, dtype='uint8')
    assert rounded.dtype == tf.uint8
    np.testing.assert_allclose(preprocess.to_network(rounded), image, atol=0.0091)
    for expected, actual in zip(tf.nest.flatten(labels), tf.nest.flatten(same_labels), strict=True):
      np.testing.assert_array_equal(actual, expected)

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

"""Configuration to batches."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from official.vision.configs import common, retinanet

from nasfpn_tf import config
from nasfpn_tf.data.input.augment.autoaugment import AutoAugment
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.training.inputs import build_augmentation, build_inputs, naming_bad_records
from tests import commands
from tests.data import synthetic


@pytest.fixture(scope='module')
def pattern(tmp_path_factory) -> str:
  """Seven images in two files."""
  return synthetic.write_shards(tmp_path_factory.mktemp('set'), 7, num_shards=2)


def model(**settings) -> config.Detector:
  return config.Detector(num_classes=5, input_size=[128, 256, 3], **settings)


def data(pattern: str, is_training: bool, batch_size: int = 4, **settings) -> config.DataConfig:
  return config.DataConfig(
    input_path=pattern, is_training=is_training, global_batch_size=batch_size, shuffle_buffer_size=20, **settings
  )


def ids_of(dataset) -> list[list[int]]:
  return [labels['source_id'].numpy().tolist() for _, labels in dataset]


def test_training_batches_are_static_and_endless(pattern):
  dataset = build_inputs(data(pattern, True), model())
  images, labels = dataset.element_spec
  assert images == tf.TensorSpec([4, 128, 256, 3], tf.float32)
  assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(labels))
  assert list(labels['cls_targets']) == list(labels['box_targets']) == list(labels['anchor_boxes']) == list('34567')
  assert labels['box_targets']['3'].shape == labels['anchor_boxes']['3'].shape == (4, 16, 32, 36)
  assert labels['cls_weights'].shape == labels['box_weights'].shape == (4, 9 * (512 + 128 + 32 + 8 + 2))
  assert labels['image_info'].shape == (4, 4, 2) and labels['source_id'] == tf.TensorSpec([4], tf.int64)
  assert 'groundtruths' not in labels
  assert len(ids_of(dataset.take(5))) == 5


@pytest.mark.parametrize('drop_remainder', [False, True])
def test_evaluation_sees_every_image_once_in_order(pattern, drop_remainder):
  dataset = build_inputs(data(pattern, False, drop_remainder=drop_remainder), model())
  assert ids_of(dataset) == ids_of(dataset)
  assert [len(batch) for batch in ids_of(dataset)] == [4, 3]
  assert sorted(source_id for batch in ids_of(dataset) for source_id in batch) == list(range(1, 8))
  for images, labels in dataset:
    assert labels['groundtruths']['boxes'].shape == (len(images), 100, 4)
    assert labels['anchor_boxes']['7'].shape[0] == len(images)
    np.testing.assert_array_equal(labels['groundtruths']['source_id'], labels['source_id'])


def test_evaluation_augments_nothing(pattern):
  parser = config.Parser(aug_rand_hflip=True, aug_rand_vflip=True, aug_scale_min=0.1, aug_scale_max=2.0, aug_color=1.0)
  plain = build_inputs(data(pattern, False), model())
  other = build_inputs(data(pattern, False, parser=parser), model())
  for (images, labels), (other_images, other_labels) in zip(plain, other, strict=True):
    np.testing.assert_array_equal(images, other_images)
    tf.nest.map_structure(np.testing.assert_array_equal, labels, other_labels)


def test_anchors_and_matching_follow_the_configuration(pattern):
  settings = {
    'min_level': 4,
    'max_level': 6,
    'anchor': retinanet.Anchor(num_scales=2, aspect_ratios=[0.7], anchor_size=1.5),
  }
  _, labels = build_inputs(data(pattern, True), model(**settings)).element_spec
  assert list(labels['cls_targets']) == list('456')
  assert labels['cls_targets']['4'].shape == (4, 8, 16, 2)


def test_bfloat16_images(pattern):
  images, labels = build_inputs(data(pattern, True, dtype='bfloat16'), model()).element_spec
  assert images.dtype == tf.bfloat16
  assert labels['box_targets']['3'].dtype == tf.float32


@pytest.mark.parametrize('is_training', [True, False])
def test_pipelines_of_a_strategy_share_images_and_batch(pattern, is_training):
  ids = []
  for index in range(2):
    context = tf.distribute.InputContext(2, index, num_replicas_in_sync=4)
    settings = data(pattern, is_training, batch_size=8, seed=2)
    dataset = build_inputs(settings, model(), context)
    batches = ids_of(dataset.take(6))
    assert max(len(batch) for batch in batches) == 2
    ids.append({source_id for batch in batches for source_id in batch})
  assert ids[0] | ids[1] == set(range(1, 8)) and not ids[0] & ids[1]


REPLICAS = """
import sys
import nasfpn_tf
import tensorflow as tf
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.training import inputs_test
strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
dataset = strategy.distribute_datasets_from_function(
  lambda context: inputs_test.build_inputs(inputs_test.data(sys.argv[1], False), inputs_test.model(), context))
for _, labels in dataset:
  for values in strategy.experimental_local_results(labels['source_id']):
    print('ids', *values.numpy().tolist())
"""


def test_two_replicas_evaluate_every_image_once(pattern, tmp_path):
  """In a process of its own: logical devices must be set up before TensorFlow starts."""
  (tmp_path / 'replicas.py').write_text(REPLICAS)
  run = commands.run(str(tmp_path / 'replicas.py'), pattern)
  assert run.returncode == 0, run.stderr[-3000:]
  batches = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith('ids')]
  # Seven images, two a replica: the last step has one image for the first replica and none for the second.
  assert [len(batch) for batch in batches] in ([2, 2, 2, 1], [2, 2, 2, 1, 0, 0])
  assert sorted(int(source_id) for batch in batches for source_id in batch) == list(range(1, 8))


def test_the_same_seed_gives_the_same_training(pattern):
  parser = config.Parser(aug_rand_hflip=True, aug_scale_min=0.5, aug_scale_max=1.5)
  runs = [list(build_inputs(data(pattern, True, seed=1, parser=parser), model()).take(4)) for _ in range(2)]
  for (images, labels), (other_images, other_labels) in zip(*runs, strict=True):
    np.testing.assert_array_equal(labels['source_id'], other_labels['source_id'])
    np.testing.assert_array_equal(images, other_images)
  skipped = build_inputs(data(pattern, True, seed=1, parser=parser), model(), skip_batches=2).take(2)
  for (images, labels), (later_images, later_labels) in zip(runs[0][2:], skipped, strict=True):
    np.testing.assert_array_equal(labels['source_id'], later_labels['source_id'])
    np.testing.assert_array_equal(images, later_images)


def test_autoaugment_as_model_garden_configures_it(pattern):
  autoaug = {'type': 'autoaug', 'autoaug': {'augmentation_name': 'detection_v0', 'translate_const': 30}}
  parser = config.Parser(aug_type=common.Augmentation(autoaug))
  assert (
    AutoAugment('v0', 100, 30) in build_augmentation(parser).operations
    and not build_augmentation(config.Parser()).operations
  )
  plain, augmented = (
    next(iter(build_inputs(data(pattern, True, seed=1, parser=parser), model())))
    for parser in (config.Parser(), parser)
  )
  np.testing.assert_array_equal(plain[1]['source_id'], augmented[1]['source_id'])
  assert np.isfinite(augmented[0]).all() and not np.array_equal(plain[0], augmented[0])


def test_take_examples(pattern):
  ids = ids_of(build_inputs(data(pattern, True, batch_size=2, take_examples=2), model()).take(3))
  assert [sorted(batch) for batch in ids] == [sorted(ids[0])] * 3 and len(set(ids[0])) == 2


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'parser': config.Parser(aug_type=common.Augmentation(type='randaug'))}, 'aug_rand_hflip'),
    (
      {
        'parser': config.Parser(
          aug_type=common.Augmentation({'type': 'autoaug', 'autoaug': {'augmentation_name': 'v9'}})
        )
      },
      'v9.*known are v0',
    ),
    ({'parser': config.Parser(aug_rand_jpeg=common.RandJpegQuality())}, 'aug_rand_jpeg'),
    ({'tfds_name': 'coco', 'input_path': ''}, 'tfds_name'),
    ({'input_path': ''}, 'input_path is empty'),
    ({'file_type': 'sstable'}, 'file_type'),
    ({'global_batch_size': 0}, 'global_batch_size'),
    ({'parser': config.Parser(aug_scale_min=2.0)}, 'aug_scale_max'),
  ],
)
def test_unusable_settings(pattern, settings, message):
  params = data(pattern, True)
  params.override(settings)
  with pytest.raises(ValueError, match=message):
    build_inputs(params, model())


def test_missing_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing-here'):
    build_inputs(data(str(tmp_path / 'nothing-here-*'), True), model())


def test_a_size_that_the_pyramid_cannot_halve(pattern):
  detector = model()
  detector.input_size = [300, 256, 3]
  with pytest.raises(ValueError, match='multiple of 128'):
    build_inputs(data(pattern, True), detector)


def test_a_file_that_is_cut_off_is_named(tmp_path):
  pattern = synthetic.write_shards(tmp_path, 2)
  path = tmp_path / 'set-00000-of-00001.tfrecord'
  path.write_bytes(path.read_bytes()[:-50])
  with pytest.raises(ValueError, match=path.name):
    build_inputs(data(pattern, True), model())


def test_a_corrupt_image_is_named(tmp_path):
  whole = synthetic.encode(synthetic.image())
  box = [[0.1, 0.1, 0.5, 0.5]]
  path = synthetic.write(
    tmp_path / 'set.tfrecord', [synthetic.example(whole, box, [1], '8'), synthetic.example(whole[:-400], box, [1], '9')]
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'set\.tfrecord.*\[9\]'):
    list(build_inputs(data(path, False), model()))


@pytest.mark.parametrize('content', [b'\xff' * 100, b'no example'])
def test_a_record_that_is_no_example_is_named(tmp_path, content):
  data_config = data(synthetic.write(tmp_path / 'set.tfrecord', [content]), True)
  with (
    pytest.raises(DataError, match=r'set\.tfrecord record 0: not a tf\.train\.Example'),
    naming_bad_records(data_config),
  ):
    next(iter(build_inputs(data_config, model())))


def test_a_label_beyond_the_classes_of_the_model_is_named(tmp_path):
  serialized = synthetic.example(synthetic.encode(synthetic.image()), [[0.1, 0.1, 0.5, 0.5]], [5], '12')
  path = synthetic.write(tmp_path / 'set.tfrecord', [serialized])
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'not in 1\.\.4.*num_classes.*\[12\]'):
    list(build_inputs(data(path, False), model()))


def write_spoilt(path: pathlib.Path, what: str) -> str:
  """Three records, the second of which TensorFlow cannot read."""
  encoded = [synthetic.encode(synthetic.image(seed=seed)) for seed in range(3)]
  if what == 'header of the JPEG':
    encoded[1] = encoded[1][:30] + bytes(170) + encoded[1][200:]
  examples = [synthetic.example(image, [[0.1, 0.1, 0.5, 0.5]], [1], str(7 + i)) for i, image in enumerate(encoded)]
  synthetic.write(path, examples)
  if what == 'bytes of the record':
    content = bytearray(path.read_bytes())
    content[len(examples[0]) + 16 + 200] ^= 255
    path.write_bytes(content)
  return str(path)


@pytest.mark.parametrize('what', ['header of the JPEG', 'bytes of the record'])
def test_a_record_that_tensorflow_does_not_name_is_found(tmp_path, pattern, what):
  params = data(write_spoilt(tmp_path / 'spoilt.tfrecord', what), False)
  with pytest.raises(DataError, match=r'spoilt\.tfrecord record 1'), naming_bad_records(data(pattern, False), params):
    list(build_inputs(params, model()))


def test_other_errors_pass_by_unchanged(pattern):
  with pytest.raises(tf.errors.InvalidArgumentError, match='my own'), naming_bad_records(data(pattern, False)):
    tf.debugging.Assert(False, ['my own'])

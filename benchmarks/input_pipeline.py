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

"""Compares JPEG TFRecords to labeled training batches with Model Garden's `retinanet_input.Parser`.

python -m benchmarks.input_pipeline --image_size=640 --num_images=512 --runs=5

Both sides decode, flip, jitter the scale, crop, normalize and label images of 640x480 with eight boxes on average; in
uint8, ours are normalized on the device. Each call is one pass over all of them but the first batch, with which the
pipeline is set up. Without the random part, images and targets of both must be the same, but for the rounding to
uint8. The last row is the floor: decoding alone.
"""

import tempfile

import numpy as np
import tensorflow as tf
from absl import app, flags
from official.vision.dataloaders import retinanet_input, tf_example_decoder

from benchmarks import side_by_side, synthetic_images
from nasfpn_tf.data.input import pipeline, preprocess
from nasfpn_tf.data.input.augment.augmentation import Augmentation
from nasfpn_tf.data.input.augment.flip import HorizontalFlip
from nasfpn_tf.data.input.labels import BACKGROUND, AnchorLabeler
from nasfpn_tf.data.records import manifest, tfrecord

_IMAGE_SIZE = flags.DEFINE_integer('image_size', 640, "Side of the network's input, a multiple of 128.")
_NUM_IMAGES = flags.DEFINE_integer('num_images', 512, 'Number of images per pass, a multiple of the batch size.')
_NUM_BOXES = flags.DEFINE_integer('num_boxes', 8, 'Mean number of boxes per image.')
_BATCH = flags.DEFINE_integer('batch', 8, 'Images in a batch.')
_SCALES = flags.DEFINE_list('scales', ['0.8', '1.2'], 'Least and greatest scale.')
_LARGEST_DIFFERENCE = {'float32': 1e-3, 'uint8': 0.01, 'bfloat16': 0.05}  # Of normalized images.
_DTYPE = flags.DEFINE_enum(
  'dtype', 'uint8', ['float32', 'bfloat16', 'uint8'], 'Type of the images; uint8 applies to our input only.'
)
_RUNS = flags.DEFINE_integer('runs', 5, 'Number of timed passes per side.', lower_bound=1)


def ours(files, size, is_training):
  """Reads the records once with this project's pipeline."""
  low, high = map(float, _SCALES.value)
  parser = pipeline.RecordParser(
    (size, size),
    num_classes=synthetic_images.NUM_CLASSES + 1,
    augmentation=Augmentation((HorizontalFlip(),), low, high) if is_training else None,
    dtype=_DTYPE.value,
  )
  records = pipeline.read_records(files, is_training=False)
  return pipeline.make_batches(
    records, parser, AnchorLabeler((size, size)), _BATCH.value, drop_remainder=True, deterministic=True
  )


def model_garden(files, size, is_training):
  """Reads the records once with Model Garden's decoder and parser, joined as in its input reader."""
  low, high = map(float, _SCALES.value) if is_training else (1.0, 1.0)
  parser = retinanet_input.Parser(
    [size, size],
    3,
    7,
    3,
    [0.5, 1.0, 2.0],
    4.0,
    aug_rand_hflip=is_training,
    aug_scale_min=low,
    aug_scale_max=high,
    dtype='float32' if _DTYPE.value == 'uint8' else _DTYPE.value,
  )
  decode, parse = tf_example_decoder.TfExampleDecoder().decode, parser.parse_fn(is_training=True)
  dataset = tf.data.TFRecordDataset(files)
  # Two maps, as in its reader.
  dataset = dataset.map(decode, tf.data.AUTOTUNE).map(parse, tf.data.AUTOTUNE)
  return dataset.batch(_BATCH.value, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def decoding(files, size, is_training):
  """Decodes the images alone: a lower bound of the time."""
  del size, is_training
  dataset = pipeline.read_records(files, is_training=False)
  feature = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}

  def decode(record, shard):
    del shard
    image = tf.io.decode_jpeg(tf.io.parse_single_example(record, feature)['image/encoded'])
    return image[:1]  # A copy of the whole image is no part of decoding it.

  dataset = dataset.map(decode, tf.data.AUTOTUNE).batch(_BATCH.value, drop_remainder=True)
  return dataset.prefetch(tf.data.AUTOTUNE)


def require_same(our_batch, their_batch):
  """Ends the benchmark unless images, targets and weights of the two are the same."""
  (images, labels), (expected_images, expected) = our_batch, their_batch
  # The two normalize before and after resizing.
  images = preprocess.to_network(tf.constant(images)).numpy()
  difference = np.abs(images.astype(np.float32) - expected_images.astype(np.float32)).max()
  side_by_side.require(difference < _LARGEST_DIFFERENCE[_DTYPE.value], f'images differ by {difference}.')
  num_anchors, num_other, num_positive = 0, 0, 0
  for level, targets in expected['cls_targets'].items():
    same = labels['cls_targets'][level] == targets
    num_anchors, num_other = num_anchors + same.size, num_other + np.count_nonzero(~same)
    is_positive = np.repeat(same & (targets != BACKGROUND), 4, axis=-1)
    num_positive += np.count_nonzero(is_positive) // 4
    error = np.abs(labels['box_targets'][level] - expected['box_targets'][level])[is_positive]
    largest = error.max(initial=0.0)
    side_by_side.require(largest < 1e-4, f'box targets of level {level} differ by {largest}.')
  # An object with two anchors equally near claims either: the last digit of its coordinates decides.
  side_by_side.require(num_other <= 1e-4 * num_anchors, f'{num_other} of {num_anchors} class targets differ.')
  print(f'{num_anchors} anchors in a batch, {num_positive} positive, {num_other} targets differ')


class Pass:
  """A pass over the records but for its first batch: that one waits for TensorFlow to set the pipeline up."""

  def __init__(self, dataset, num_batches):
    self._dataset, self._num_batches, self._batches = dataset, num_batches, None

  def begin(self):
    """Sets the pipeline up; a training does so once."""
    self._batches = iter(self._dataset)
    next(self._batches)

  def run(self):
    """Takes the other batches."""
    seen = 1 + sum(1 for _ in self._batches)
    side_by_side.require(seen == self._num_batches, f'{seen} batches of {self._num_batches}.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  size, count = _IMAGE_SIZE.value, _NUM_IMAGES.value
  with tempfile.TemporaryDirectory() as directory:
    image_dir, annotations = synthetic_images.write_coco(directory, count, num_boxes=_NUM_BOXES.value)
    tfrecord.write_tfrecords(annotations, image_dir, f'{directory}/set', num_shards=4, progress=False)
    files = manifest.match_shards(f'{directory}/set-*.tfrecord')
    batches = [next(iter(make(files, size, False).as_numpy_iterator())) for make in (ours, model_garden)]
    require_same(*batches)

    passes = {
      name: Pass(make(files, size, True), count // _BATCH.value)
      for name, make in (('ours', ours), ("Model Garden's parser", model_garden), ('decoding alone', decoding))
    }
    samples = side_by_side.interleave(
      {name: each.run for name, each in passes.items()},
      _RUNS.value,
      prepare={name: each.begin for name, each in passes.items()},
    )
  side_by_side.report(samples, {"Model Garden's parser": 0.2 if size <= 256 else 0.18})
  for name, side_samples in samples.items():
    print(f'{name}: {1e3 * (count - _BATCH.value) / min(side_samples.cpu_ms):.0f} images/s a core')


if __name__ == '__main__':
  app.run(main)

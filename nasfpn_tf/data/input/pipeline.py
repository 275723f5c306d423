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

"""Reads TFRecords as augmented, labeled batches."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.input.augment.augmentation import Augmentation
from nasfpn_tf.data.input.decode import decode_record
from nasfpn_tf.data.input.labels import AnchorLabeler


@dataclasses.dataclass(frozen=True)
class RecordParser:
  """One serialized record to `(image, objects)`.

  Attributes:
    output_size: height and width of the network's input.
    num_classes: classes of the model, background counted; labels beyond them are an error. 0: not checked.
    augmentation: None gives every image as it is used in evaluation, in training too.
    groundtruths: add the objects as they are in the original image, for evaluation.
    skip_crowd: boxes marked as crowds are no training targets, and none in the validation loss.
    max_num_instances: `groundtruths` are cut or padded to so many objects; targets are made from all of them.
    keep_aspect_ratio: False stretches images to the network's input.
    dtype: of the image: a float type gives it normalized, 'uint8' rounded and not normalized.
  """

  output_size: tuple[int, int]
  num_classes: int = 0
  augmentation: Augmentation | None = None
  groundtruths: bool = False
  skip_crowd: bool = True
  max_num_instances: int = 100
  keep_aspect_ratio: bool = True
  dtype: str = 'float32'

  def __call__(self, serialized: tf.Tensor, shard: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, dict]:
    """Decodes and augments.

    Args:
      serialized: string scalar.
      shard: string scalar, the record's file.
      seed: int64 `[2]` of this image's augmentation.

    Returns:
      The image `[height, width, 3]` and its objects: 'boxes' float32 `[num_boxes, 4]`, yxyx in pixels of the image,
      none of them empty, and 'classes' int64 `[num_boxes]`, those that are training targets; 'image_info', see
      `preprocess.geometry`; 'source_id'; and 'groundtruths' as Model Garden's `retinanet_input.Parser` makes them.
    """
    record = decode_record(serialized, shard, self.num_classes)
    if self.augmentation is None:
      scaled_size, image_info = preprocess.geometry(
        tf.shape(record.image)[:2], self.output_size, keep_aspect_ratio=self.keep_aspect_ratio
      )
      image = preprocess.resize(record.image, scaled_size)
      boxes = preprocess.place_boxes(record.boxes, image_info)
    else:
      image, boxes, image_info = self.augmentation(
        record.image, record.boxes, seed, self.output_size, self.keep_aspect_ratio
      )
    fill = preprocess.round_and_pad if self.dtype == 'uint8' else preprocess.normalize_and_pad
    image = fill(image, self.output_size)

    is_target = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
    if self.skip_crowd:
      is_target &= ~record.is_crowd
    kept = tf.where(is_target)[:, 0]
    objects = {
      'boxes': tf.gather(boxes, kept),
      'classes': tf.gather(record.classes, kept),
      'image_info': image_info,
      'source_id': record.source_id,
    }
    if self.groundtruths:
      objects['groundtruths'] = self._groundtruths(record, image_info)
    return tf.cast(image, self.dtype), objects

  def _groundtruths(self, record, image_info: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the objects in pixels of the original image, crowds included, padded with -1 (`is_crowds` with 0)."""
    size = tf.shape(record.image)
    missing = tf.maximum(self.max_num_instances - tf.shape(record.classes)[0], 0)

    def padded(values: tf.Tensor, fill: int) -> tf.Tensor:
      values = values[: self.max_num_instances]
      paddings = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
      values = tf.pad(values, paddings, constant_values=tf.cast(fill, values.dtype))
      return tf.ensure_shape(values, [self.max_num_instances, *values.shape[1:]])

    return {
      'source_id': record.source_id,
      'height': tf.cast(size[0], tf.int64),
      'width': tf.cast(size[1], tf.int64),
      'num_detections': tf.shape(record.classes),
      'image_info': image_info,
      'boxes': padded(record.boxes * tf.tile(image_info[0], [2]), -1),
      'classes': padded(record.classes, -1),
      'areas': padded(record.areas, -1),
      'is_crowds': padded(tf.cast(record.is_crowd, tf.int32), 0),
    }


def read_records(
  files: Sequence[str],
  is_training: bool,
  seed: int | None = None,
  num_pipelines: int = 1,
  pipeline_index: int = 0,
  cycle_length: int | None = None,
  block_length: int = 1,
  shuffle_buffer_size: int = 10000,
  take_examples: int = 0,
  cache: bool = False,
) -> tf.data.Dataset:
  """Reads serialized records; in training shuffled and without end, otherwise once, in the order of the files.

  Args:
    files: TFRecord files.
    is_training: shuffle and repeat.
    seed: makes the order repeatable; None is another order in every run.
    num_pipelines: how many input pipelines (hosts) share the files. Each reads its own files, or, when there are fewer
      files than pipelines or `take_examples` is set, its own records: no record is read by two, and none by none.
    pipeline_index: which of them this is.
    cycle_length: files read at the same time in training; None leaves it to tf.data.
    block_length: records taken from a file in turn.
    shuffle_buffer_size: records held to shuffle.
    take_examples: use only so many records, the first ones; 0 uses all.
    cache: keep the serialized records in memory after the first pass.

  Returns:
    Dataset of (serialized record, file name).
  """
  by_file = len(files) >= num_pipelines and not take_examples
  if by_file and num_pipelines > 1:
    files = files[pipeline_index::num_pipelines]
  shuffled = is_training and not take_examples

  def read_file(path: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(path, buffer_size=1 << 20).map(lambda record: (record, path))

  dataset = tf.data.Dataset.from_tensor_slices(list(files))
  if shuffled and len(files) > 1:
    # A cache keeps one order: what is shuffled before it would stay so.
    dataset = dataset.shuffle(len(files), seed=seed, reshuffle_each_iteration=not cache)
    dataset = dataset.interleave(
      read_file,
      cycle_length=cycle_length,
      block_length=block_length,
      num_parallel_calls=cycle_length or tf.data.AUTOTUNE,
    )
  else:
    dataset = dataset.flat_map(read_file)
  if take_examples:
    dataset = dataset.take(take_examples)
  if not by_file:
    dataset = dataset.shard(num_pipelines, pipeline_index)
  if cache:
    dataset = dataset.cache()
  if is_training:
    dataset = dataset.shuffle(shuffle_buffer_size, seed=seed).repeat()
  return dataset


def make_batches(
  records: tf.data.Dataset,
  parser: RecordParser,
  labeler: AnchorLabeler,
  batch_size: int,
  drop_remainder: bool,
  seed: int | None = None,
  deterministic: bool | None = None,
  prefetch_buffer_size: int | None = None,
  skip_batches: int = 0,
) -> tf.data.Dataset:
  """Parses records, batches and labels them.

  Args:
    records: dataset of (serialized record, file name).
    parser: makes one image and its objects.
    labeler: assigns the boxes to anchors.
    batch_size: images a batch, of one replica.
    drop_remainder: True gives batches of static shape, as a TPU needs, and drops an incomplete last one.
    seed: of the augmentation; None is another one in every run.
    deterministic: keep the order of the records; None does when there is a seed.
    prefetch_buffer_size: batches prepared ahead; None leaves it to tf.data.
    skip_batches: begin behind so many batches; their records are read, but not decoded.

  Returns:
    Dataset of (images `[batch, height, width, 3]`, labels): see `AnchorLabeler.label_batch` and `RecordParser`, and
    'anchor_boxes' {level: `[batch, height_l, width_l, anchors_per_location * 4]`}.
  """
  seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=seed is None).batch(2, drop_remainder=True)
  dataset = tf.data.Dataset.zip(records, seeds).skip(skip_batches * batch_size)
  dataset = dataset.map(lambda record, seed: parser(*record, seed), num_parallel_calls=tf.data.AUTOTUNE)
  dataset = dataset.ragged_batch(batch_size, drop_remainder=drop_remainder)

  def add_labels(images: tf.Tensor, objects: dict) -> tuple[tf.Tensor, dict]:
    batch = batch_size if drop_remainder else tf.shape(images)[0]
    boxes, classes = objects.pop('boxes'), objects.pop('classes')
    rows = tf.cast(classes.value_rowids(), tf.int32)
    labels = labeler.label_batch(boxes.values, classes.values, rows, batch)
    anchors = {level: tf.broadcast_to(grid, [batch, *grid.shape]) for level, grid in labeler.anchor_boxes.items()}
    return images, {**labels, **objects, 'anchor_boxes': anchors}

  dataset = dataset.map(add_labels, num_parallel_calls=tf.data.AUTOTUNE)
  options = tf.data.Options()
  options.deterministic = seed is not None if deterministic is None else deterministic
  options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
  return dataset.with_options(options).prefetch(prefetch_buffer_size or tf.data.AUTOTUNE)

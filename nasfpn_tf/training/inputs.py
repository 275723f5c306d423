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

"""Builds the input of an experiment: configuration to dataset."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf
from official.modeling.hyperparams import base_config

from nasfpn_tf import config
from nasfpn_tf.data.input import pipeline, preprocess
from nasfpn_tf.data.input.augment import operation
from nasfpn_tf.data.input.augment.augmentation import Augmentation
from nasfpn_tf.data.input.augment.autoaugment import AutoAugment
from nasfpn_tf.data.input.augment.color import Color
from nasfpn_tf.data.input.augment.flip import HorizontalFlip, VerticalFlip
from nasfpn_tf.data.input.augment.operation import Operation
from nasfpn_tf.data.input.labels import AnchorLabeler
from nasfpn_tf.data.records import check, framing
from nasfpn_tf.data.records.manifest import match_shards
from nasfpn_tf.data.sources.problems import DataError

_DTYPES = ('float32', 'bfloat16', 'float16', 'uint8')


def build_inputs(
  data_config: config.DataConfig,
  model_config: config.Detector,
  input_context: tf.distribute.InputContext | None = None,
  skip_batches: int = 0,
) -> tf.data.Dataset:
  """Builds the dataset of training or evaluation.

  Training repeats without end. Evaluation is one pass over every image, the last batch as small as it comes.

  Args:
    data_config: input; `is_training` decides which of the two it is.
    model_config: the detector; its input size, levels, anchors and number of classes (0: labels are not checked).
    input_context: of a distribution strategy; `global_batch_size` is divided by its replicas, the records by its
      pipelines.
    skip_batches: begin behind so many batches of this pipeline, to resume a seeded training where it stopped.

  Returns:
    Dataset of (images `[batch, height, width, 3]`, labels): 'cls_targets', 'box_targets', 'anchor_boxes' by level,
    'cls_weights', 'box_weights', 'image_info', 'source_id', and 'groundtruths' in evaluation; layout as Model Garden's
    `retinanet_input.Parser`.

  Raises:
    ValueError: an image size that the pyramid cannot halve, an option that is not supported, no input path, or a file
      that is not whole (`framing.FramingError`).
    FileNotFoundError: a pattern that matches no file; the message names it.
  """
  _check_supported(data_config)
  parser_config, anchor = data_config.parser, model_config.anchor
  output_size = preprocess.check_output_size(model_config.input_size, config.aligned_level(model_config))
  labeler = AnchorLabeler(
    output_size,
    min_level=model_config.min_level,
    max_level=model_config.max_level,
    num_scales=anchor.num_scales,
    aspect_ratios=anchor.aspect_ratios,
    anchor_size=anchor.anchor_size,
    match_threshold=parser_config.match_threshold,
    unmatched_threshold=parser_config.unmatched_threshold,
    box_coder_weights=model_config.detection_generator.box_coder_weights,
    box_coder_plus_one=model_config.detection_generator.box_coder_plus_one,
  )
  is_training = bool(data_config.is_training)
  augmentation = None
  if is_training:
    augmentation = build_augmentation(parser_config)
  parser = pipeline.RecordParser(
    output_size=output_size,
    num_classes=model_config.num_classes,
    augmentation=augmentation,
    groundtruths=not is_training,
    skip_crowd=parser_config.skip_crowd_during_training,
    max_num_instances=parser_config.max_num_instances,
    keep_aspect_ratio=parser_config.keep_aspect_ratio,
    dtype=data_config.dtype,
  )
  files = match_shards(data_config.input_path)
  framing.check_files(files)
  is_sharded = data_config.sharding and input_context is not None
  pipeline_index = input_context.input_pipeline_id if is_sharded else 0
  # The pipelines see other images, and draw other augmentations for them.
  seed = None if data_config.seed is None else data_config.seed + pipeline_index
  records = pipeline.read_records(
    files,
    is_training=is_training,
    seed=seed,
    num_pipelines=input_context.num_input_pipelines if is_sharded else 1,
    pipeline_index=pipeline_index,
    cycle_length=data_config.cycle_length,
    block_length=data_config.block_length,
    shuffle_buffer_size=data_config.shuffle_buffer_size,
    take_examples=data_config.take_examples,
    cache=data_config.cache,
  )
  batch_size = data_config.global_batch_size
  if input_context is not None:
    batch_size = input_context.get_per_replica_batch_size(batch_size)
  return pipeline.make_batches(
    records,
    parser,
    labeler,
    batch_size,
    drop_remainder=is_training and data_config.drop_remainder,
    seed=seed,
    deterministic=data_config.deterministic if is_training else True,
    prefetch_buffer_size=data_config.prefetch_buffer_size,
    skip_batches=skip_batches,
  )


@contextlib.contextmanager
def naming_bad_records(*data_configs: config.DataConfig) -> Iterator[None]:
  """Names the record at which reading failed in the block, which TensorFlow does not.

  TensorFlow says 'corrupted record at 2477' or that the JPEG is invalid, but not in which file.

  Args:
    *data_configs: the inputs that are read inside; their records are gone through only after an error.

  Raises:
    problems.DataError: instead of TensorFlow's error; it lists the records that cannot be read.
  """
  try:
    yield
  except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
    # A UnicodeDecodeError: TensorFlow's message quotes the bytes of a record that is no tf.Example.
    is_unnamed = 'image/source_id' not in str(error) and any(
      sign in str(error) for sign in ('DecodeImage', 'ExtractJpegShape', 'parse example')
    )
    if isinstance(error, tf.errors.InvalidArgumentError) and not is_unnamed:
      raise
    for data_config in data_configs:
      if not data_config.input_path:
        continue
      found = check.check_records(data_config.input_path, progress=False).problems
      unreadable = [str(problem) for problem in found if problem.kind in ('broken_file', 'bad_record', 'corrupt_image')]
      if unreadable:
        rest = f'; and {len(unreadable) - 5} more' if len(unreadable) > 5 else ''
        raise DataError(f'records that cannot be read: {"; ".join(unreadable[:5])}{rest}') from error
    raise


def build_augmentation(parser: config.Parser) -> Augmentation:
  """Builds the random augmentation of training.

  Raises:
    ValueError: an operation of `aug_operations` that there is not, or a setting out of its range.
  """
  operations: list[Operation] = []
  if parser.aug_type is not None and parser.aug_type.type is not None:
    autoaug = parser.aug_type.autoaug
    # Model Garden's name of the detection policy v0 is taken too.
    policy = autoaug.augmentation_name.removeprefix('detection_')
    operations.append(AutoAugment(policy, autoaug.cutout_const, autoaug.translate_const))
  if parser.aug_rand_hflip:
    operations.append(HorizontalFlip())
  if parser.aug_rand_vflip:
    operations.append(VerticalFlip())
  if parser.aug_color:
    operations.append(Color(parser.aug_color))
  operations += [operation.parse(text) for text in parser.aug_operations]
  return Augmentation(tuple(operations), parser.aug_scale_min, parser.aug_scale_max)


def _check_supported(data_config: config.DataConfig) -> None:
  """Raises ValueError for what Model Garden's configuration can say and this input does not do."""
  parser = data_config.parser
  ways = 'aug_rand_hflip, aug_rand_vflip, aug_scale_min, aug_scale_max, aug_color, aug_operations and aug_type autoaug'
  if parser.aug_type is not None and parser.aug_type.type not in (None, 'autoaug'):
    raise ValueError(
      f'parser.aug_type {parser.aug_type.type!r} is not supported; the augmentations of this input are {ways}'
    )
  if parser.aug_rand_jpeg is not None:
    raise ValueError(f'parser.aug_rand_jpeg is not supported; the augmentations of this input are {ways}')
  if data_config.tfds_name:
    raise ValueError('tfds_name is not supported: write TFRecords with create_tfrecord.py and set input_path')
  if data_config.weights is not None or isinstance(data_config.input_path, dict | base_config.Config):
    raise ValueError('weighted mixtures of inputs are not supported: input_path must be a pattern or a list of them')
  if data_config.dtype not in _DTYPES:
    raise ValueError(f'dtype of the images is {data_config.dtype!r}; one of {", ".join(_DTYPES)} is needed')
  if not data_config.input_path:
    raise ValueError('input_path is empty: give the records, such as /data/train-*')
  if data_config.file_type != 'tfrecord':
    raise ValueError(f"file_type must be 'tfrecord', got {data_config.file_type!r}")
  if data_config.global_batch_size <= 0:
    raise ValueError(f'global_batch_size must be positive, got {data_config.global_batch_size}')

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

"""Draws training images as the detector gets them, with their boxes."""

import io
import os
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from nasfpn_tf import config, whole_file
from nasfpn_tf.data.input import pipeline, preprocess
from nasfpn_tf.data.input.decode import decode_record
from nasfpn_tf.data.records.manifest import match_shards
from nasfpn_tf.training import inputs

_LINE = (255, 209, 102)
_CROWD = (160, 160, 160)
_GAP = 4


def write_contact_sheet(
  path: str | os.PathLike,
  data_config: config.DataConfig,
  model_config: config.Detector,
  columns: int = 4,
  rows: int = 3,
  seed: int = 0,
) -> None:
  """Draws augmented images of the training records with their boxes, crowds in gray, one file of `columns * rows`.

  Args:
    path: .jpg or .png file to write.
    data_config: the training input: its records and its augmentation.
    model_config: the detector: its input size.
    columns: images side by side.
    rows: images on top of one another; records are taken again where there are too few.
    seed: draws the images and what is done to them.

  Raises:
    FileNotFoundError: no records.
    ValueError: an augmentation that there is not.
  """
  size = preprocess.check_output_size(model_config.input_size, config.aligned_level(model_config))
  augmentation = inputs.build_augmentation(data_config.parser)
  records = pipeline.read_records(match_shards(data_config.input_path), is_training=True, seed=seed)

  @tf.function
  def augmented(serialized, shard, image_seed):
    record = decode_record(serialized, shard)
    image, boxes, _ = augmentation(record.image, record.boxes, image_seed, size, data_config.parser.keep_aspect_ratio)
    return image, boxes, record.is_crowd

  height, width = size
  sheet = Image.new('RGB', (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP), 'white')
  for i, (serialized, shard) in enumerate(records.take(columns * rows)):
    image, boxes, is_crowd = augmented(serialized, shard, tf.constant([seed, i], tf.int64))
    place = (i % columns * (width + _GAP), i // columns * (height + _GAP))
    # The rest of the input is zero behind normalization, which is the mean color.
    sheet.paste(tuple(round(value) for value in preprocess.MEAN), (*place, place[0] + width, place[1] + height))
    tile = Image.fromarray(np.clip(np.round(image), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(tile)
    for (top, left, bottom, right), crowd in zip(boxes.numpy(), is_crowd.numpy(), strict=True):
      if bottom > top and right > left:
        draw.rectangle((left, top, right - 1, bottom - 1), outline=_CROWD if crowd else _LINE, width=2)
    sheet.paste(tile, place)
  encoded = io.BytesIO()  # Pillow's own writing does not tell why it fails.
  sheet.save(encoded, Image.registered_extensions()[pathlib.Path(path).suffix.lower()])
  whole_file.write_bytes(path, encoded.getvalue())

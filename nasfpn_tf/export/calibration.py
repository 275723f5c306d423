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

"""Loads images for calibrating quantization from TFRecords, preprocessed as in serving."""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nasfpn_tf.data.input import decode, preprocess
from nasfpn_tf.data.records import framing, manifest
from nasfpn_tf.export import verification

MIN_IMAGES = 10  # Fewer distinct images leave the ranges of rare features to chance.


def load_images(input_path: str | Sequence[str], max_images: int) -> list[np.ndarray]:
  """Loads distinct images from TFRecords, spread evenly over the shards of a set, beginning with the first of each.

  Args:
    input_path: the records, as `create_tfrecord.py` wrote them; validation rather than training data, which the
      network has seen. A further set is used only where those before it have fewer than `max_images` images.
    max_images: maximum number of images.

  Returns:
    uint8 [height, width, 3] arrays, RGB, of any size.

  Raises:
    FileNotFoundError: `input_path` names no file.
    ValueError: there are fewer than `MIN_IMAGES` distinct images, or a file or a record is broken.
  """
  sets = [manifest.match_shards(pattern) for pattern in manifest.split_patterns(input_path)]
  shards = [shard for shards in sets for shard in shards]
  framing.check_files(shards)
  records = functools.reduce(tf.data.Dataset.concatenate, map(_read, sets))
  images, seen = [], set()
  with decode.naming_record(shards):
    for image in records.map(lambda record, shard: decode.decode_record(record, shard).image).as_numpy_iterator():
      digest = _digest(image)
      if digest not in seen:
        seen.add(digest)
        images.append(image)
      if len(images) >= max_images:
        break
  if len(images) < MIN_IMAGES:
    raise ValueError(
      f'{input_path}: {len(images)} distinct images are too few to calibrate with; at least {MIN_IMAGES} are needed, '
      'a hundred are better.'
    )
  return images


def _read(shards: Sequence[str]) -> tf.data.Dataset:
  """(record, its file); which come first must not depend on timing: no parallel interleave."""
  return tf.data.Dataset.from_tensor_slices(shards).interleave(
    lambda shard: tf.data.TFRecordDataset(shard).map(lambda record: (record, shard)), cycle_length=len(shards)
  )


def count_distinct(images: Sequence[np.ndarray]) -> int:
  """Counts distinct images."""
  return len({_digest(image) for image in images})


def to_inputs(
  images: Sequence[np.ndarray], input_size: Sequence[int], keep_aspect_ratio: bool = True
) -> list[np.ndarray]:
  """Letterboxes images to float32 [1, input height, input width, 3], 0 to 255, mean color in the padding."""
  size = tuple(input_size[:2])
  letterboxed = (preprocess.letterbox(tf.constant(image), size, keep_aspect_ratio)[0] for image in images)
  return [verification.to_pixels(image)[tf.newaxis].numpy() for image in letterboxed]


def _digest(image: np.ndarray) -> bytes:
  return hashlib.sha256(np.ascontiguousarray(image)).digest() + bytes(str(image.shape), 'ascii')

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

"""Records made in memory: images, and tf.Examples with the keys of Model Garden's TfExampleDecoder."""

import io
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image


def image(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
  """A smooth random image, uint8 `[height, width, 3]`."""
  noise = np.random.default_rng(seed).integers(0, 256, [6, 8, 3], np.uint8)
  return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def encode(pixels: np.ndarray, file_format: str = 'JPEG', mode: str = 'RGB') -> bytes:
  """An image as a file's bytes."""
  buffer = io.BytesIO()
  Image.fromarray(pixels).convert(mode).save(buffer, file_format)
  return buffer.getvalue()


def random_boxes(count: int, seed: int = 0, least: float = 0.02) -> np.ndarray:
  """Boxes `[count, 4]`, yxyx in 0..1, none of them empty."""
  rng = np.random.default_rng(seed)
  sizes = np.exp(rng.uniform(np.log(least), np.log(0.7), [count, 2]))
  corners = rng.uniform(0, 1 - sizes)
  return np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)


def example(
  encoded: bytes,
  boxes: np.ndarray | Sequence[Sequence[float]] = (),
  classes: Sequence[int] = (),
  source_id: str = '1',
  is_crowd: Sequence[int] | None = None,
  areas: Sequence[float] | None = None,
) -> bytes:
  """A serialized tf.Example; boxes are yxyx in 0..1."""

  def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

  def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

  def text(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

  columns = np.asarray(boxes, np.float32).reshape(-1, 4).T
  features = {
    'image/encoded': text(encoded),
    'image/source_id': text(source_id.encode()),
    'image/object/class/label': integers(classes),
  }
  for edge, column in zip(('ymin', 'xmin', 'ymax', 'xmax'), columns, strict=True):
    features[f'image/object/bbox/{edge}'] = floats(column)
  if is_crowd is not None:
    features['image/object/is_crowd'] = integers(is_crowd)
  if areas is not None:
    features['image/object/area'] = floats(areas)
  return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(path: pathlib.Path, examples: Sequence[bytes]) -> str:
  """Writes a TFRecord file and returns its path."""
  with tf.io.TFRecordWriter(str(path)) as writer:
    for serialized in examples:
      writer.write(serialized)
  return str(path)


def write_shards(directory: pathlib.Path, count: int, num_shards: int = 1, num_boxes: int = 3) -> str:
  """Writes `count` images with source ids from 1 and returns their pattern."""
  examples = [
    example(
      encode(image(seed=index)),
      random_boxes(num_boxes, seed=index),
      [1 + (index + box) % 4 for box in range(num_boxes)],
      str(index + 1),
    )
    for index in range(count)
  ]
  for shard in range(num_shards):
    write(directory / f'set-{shard:05d}-of-{num_shards:05d}.tfrecord', examples[shard::num_shards])
  return str(directory / 'set-*')

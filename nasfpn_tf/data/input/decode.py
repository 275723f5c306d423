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

"""Decodes a TFRecord entry to an image and its objects, with errors that name the shard and the image."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from nasfpn_tf.data.records import framing
from nasfpn_tf.data.sources import images
from nasfpn_tf.data.sources.problems import DataError

# First and last bytes of a complete file.
_JPEG = (b'\xff\xd8\xff', b'\xff\xd9')
_SIGNATURES = (
  _JPEG,
  (b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'),
  (b'GIF8', b';'),
  (b'BM', b''),
)

_UNDECODABLE = -2  # In place of a number of pixels.

_HASHES = 2**52  # Of source ids: Model Garden's 2**22 give two of a few thousand images the same.


class Record(NamedTuple):
  """A decoded entry.

  Attributes:
    source_id: int64 scalar, the user's image id; a hash where the record holds no decimal number.
    image: uint8 `[height, width, 3]`.
    boxes: float32 `[num_boxes, 4]`, yxyx in 0..1 of the image.
    classes: int64 `[num_boxes]`, from 1.
    areas: float32 `[num_boxes]`, in pixels of the original image.
    is_crowd: bool `[num_boxes]`.
  """

  source_id: tf.Tensor
  image: tf.Tensor
  boxes: tf.Tensor
  classes: tf.Tensor
  areas: tf.Tensor
  is_crowd: tf.Tensor


def _list_of(dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
  return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)


# The keys of Model Garden's TfExampleDecoder.
_FEATURES = {
  'image/encoded': tf.io.FixedLenFeature([], tf.string, ''),
  'image/source_id': tf.io.FixedLenFeature([], tf.string, ''),
  'image/object/bbox/ymin': _list_of(tf.float32),
  'image/object/bbox/xmin': _list_of(tf.float32),
  'image/object/bbox/ymax': _list_of(tf.float32),
  'image/object/bbox/xmax': _list_of(tf.float32),
  'image/object/class/label': _list_of(tf.int64),
  'image/object/area': _list_of(tf.float32),
  'image/object/is_crowd': _list_of(tf.int64),
}


@contextlib.contextmanager
def naming_record(paths: Sequence[str]) -> Iterator[None]:
  """Names the record at which decoding failed in the block where TensorFlow does not: one that is no tf.Example.

  TensorFlow quotes the bytes of such a record, which need not be text: its message itself may be a UnicodeDecodeError.

  Args:
    paths: TFRecord files that are read inside; gone through only after an error.

  Raises:
    DataError: instead of TensorFlow's error.
  """
  try:
    yield
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    for path in paths:
      for index, (data, _) in enumerate(framing.read_records(path)):
        try:
          tf.io.parse_single_example(data, _FEATURES)
        except (tf.errors.OpError, UnicodeDecodeError) as cause:
          raise DataError(f'{path} record {index}: {_unparsed(data)}') from cause
    raise DataError(error.message.splitlines()[0] if isinstance(error, tf.errors.OpError) else str(error)) from error


def _unparsed(data: bytes) -> str:
  """Returns what is wrong with a record that TensorFlow cannot parse."""
  try:
    found = tf.train.Example.FromString(data).features.feature
  except Exception:  # protobuf has moved its DecodeError more than once.
    return 'is not a tf.train.Example, as create_tfrecord.py writes them.'
  kinds = {tf.string: 'bytes_list', tf.int64: 'int64_list', tf.float32: 'float_list'}
  for name, spec in _FEATURES.items():
    kind = found[name].WhichOneof('kind') if name in found else None
    if kind not in (None, kinds[spec.dtype]):
      return f'{name} is a {kind}; it must be a {kinds[spec.dtype]}.'
  return 'some of its features hold more than one value.'


def decode_record(serialized: tf.Tensor, shard: tf.Tensor, num_classes: int = 0) -> Record:
  """Parses a serialized tf.Example with the features of Model Garden's TfExampleDecoder.

  Args:
    serialized: string scalar.
    shard: string scalar, the file it comes from, for messages.
    num_classes: classes of the model, background counted; labels beyond it are an error. 0: any label from 1.

  Returns:
    The `Record`. A missing area is that of the box, a missing is_crowd False.

  Raises:
    tf.errors.InvalidArgumentError: while reading: an image that is cut off or is no JPEG, PNG, GIF or BMP, boxes that
      do not fit the labels or are not numbers in order, a label outside the model's classes. The message names the
      shard and the source_id.
  """
  parsed = tf.io.parse_single_example(serialized, _FEATURES)
  where = ['shard', shard, 'image/source_id', parsed['image/source_id']]
  classes = parsed['image/object/class/label']
  coordinates = [parsed[f'image/object/bbox/{edge}'] for edge in ('ymin', 'xmin', 'ymax', 'xmax')]
  fits = tf.reduce_all(tf.stack([tf.shape(column)[0] for column in coordinates]) == tf.shape(classes)[0])
  highest = num_classes - 1 if num_classes else classes.dtype.max
  known = tf.reduce_all((classes >= 1) & (classes <= highest))
  checks = [
    _require(fits, 'image/object/bbox/{ymin,xmin,ymax,xmax} and image/object/class/label differ in length', where),
    _require(known, f'image/object/class/label is not in 1..{highest} (num_classes counts the background)', where),
  ]
  with tf.control_dependencies(checks):
    boxes = tf.stack(coordinates, axis=1)
  # False for NaN too.
  ordered = tf.reduce_all(boxes[:, :2] <= boxes[:, 2:]) & tf.reduce_all(tf.math.is_finite(boxes))
  message = 'a box has a minimum above its maximum or is not a number (infinite numbers are none)'
  with tf.control_dependencies([_require(ordered, message, where)]):
    boxes = tf.clip_by_value(boxes, 0.0, 1.0)

  image = _decode_image(parsed['image/encoded'], where)
  height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
  areas, crowd = parsed['image/object/area'], parsed['image/object/is_crowd']
  num_boxes = tf.shape(classes)[0]
  areas = tf.cond(
    tf.shape(areas)[0] == num_boxes,
    lambda: areas,
    lambda: (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * height * width,
  )
  crowd = tf.cond(tf.shape(crowd)[0] == num_boxes, lambda: crowd > 0, lambda: tf.zeros_like(classes, tf.bool))
  return Record(source_id(parsed['image/source_id'], parsed['image/encoded']), image, boxes, classes, areas, crowd)


def _require(condition: tf.Tensor, message: str, where: list[str | tf.Tensor]) -> tf.Operation:
  """Stops reading with a message that says where, unless `condition` holds."""
  return tf.raw_ops.Assert(condition=condition, data=[message, *where], summarize=1)


def source_id(text: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
  """Returns an image's id as an int64 scalar: the number in `text`, or a hash of the text and the image's bytes."""
  return tf.cond(
    tf.strings.regex_full_match(text, r'-?\d{1,18}'),
    lambda: tf.strings.to_number(text, tf.int64),
    lambda: tf.strings.to_hash_bucket_fast(tf.strings.join([text, encoded]), _HASHES),
  )


def _pixels(encoded: tf.Tensor) -> tf.Tensor:
  image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
  return tf.ensure_shape(image, [None, None, 3])


def _decode_image(encoded: tf.Tensor, where: list[str | tf.Tensor]) -> tf.Tensor:
  """Decodes to uint8 `[height, width, 3]`; a file without its signature or its end is tried apart first, to name it."""
  # Nearly all images are whole JPEGs, for which two comparisons are enough.
  num_pixels = tf.cond(
    _has_signature(encoded, *_JPEG), lambda: _jpeg_pixels(encoded), lambda: _num_pixels_if_decodable(encoded)
  )
  checks = [
    _require(num_pixels != _UNDECODABLE, 'the image is truncated or not a JPEG, PNG, GIF or BMP', where),
    _require(num_pixels <= images.MAX_PIXELS, f'the image has over {images.MAX_PIXELS} pixels: shrink it', where),
  ]
  with tf.control_dependencies(checks):
    return _pixels(tf.identity(encoded))


def _has_signature(encoded: tf.Tensor, start: bytes, end: bytes) -> tf.Tensor:
  """Tells whether a file begins and ends as the complete ones of its format do."""
  last = tf.maximum(tf.strings.length(encoded) - len(end), 0)
  return (tf.strings.substr(encoded, 0, len(start)) == start) & (tf.strings.substr(encoded, last, len(end)) == end)


def _num_pixels_if_decodable(encoded: tf.Tensor) -> tf.Tensor:
  """Returns the number of pixels of an image of any format, or _UNDECODABLE."""
  is_whole = tf.reduce_any(tf.stack([_has_signature(encoded, *signature) for signature in _SIGNATURES]))
  decodes = tf.cond(is_whole, lambda: True, lambda: _is_decodable(encoded))
  return tf.cond(decodes, lambda: _num_pixels(encoded), lambda: tf.constant(_UNDECODABLE, tf.int64))


def _jpeg_pixels(encoded: tf.Tensor) -> tf.Tensor:
  return tf.reduce_prod(tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64))


def _num_pixels(encoded: tf.Tensor) -> tf.Tensor:
  """Returns the number of pixels in the header of an image, int64; -1 if its format cannot hold too many."""
  header = tf.strings.substr(tf.strings.join([tf.strings.substr(encoded, 0, 26), b'\0' * 26]), 0, 26)

  def product(offset: int, dtype: tf.DType, little_endian: bool) -> tf.Tensor:
    raw = tf.strings.substr(header, offset, 2 * dtype.size)
    sides = tf.io.decode_raw(raw, dtype, little_endian=little_endian)
    return tf.abs(tf.reduce_prod(tf.cast(tf.ensure_shape(sides, [2]), tf.int64)))

  is_jpeg, is_png, is_gif, is_bmp = (tf.strings.substr(encoded, 0, len(start)) == start for start, _ in _SIGNATURES)
  return tf.case(
    [
      (is_jpeg, lambda: _jpeg_pixels(encoded)),
      (is_png, lambda: product(16, tf.int32, False)),
      (is_gif, lambda: product(6, tf.uint16, True)),
      (is_bmp, lambda: product(18, tf.int32, True)),
    ],
    default=lambda: tf.constant(-1, tf.int64),
  )


def _is_decodable(encoded: tf.Tensor) -> tf.Tensor:
  """Tells whether the bytes decode; much slower than decoding them, since a graph cannot catch an error otherwise."""

  def attempt_pixels(data: tf.Tensor) -> tf.Tensor:
    # What is too large is left to the check that says so.
    is_small = _num_pixels(data) <= images.MAX_PIXELS
    return tf.cond(is_small, lambda: tf.shape(_pixels(data))[0], lambda: 0)

  attempt = tf.data.Dataset.from_tensors(encoded).map(attempt_pixels).ignore_errors()
  return attempt.reduce(0, lambda count, _: count + 1) > 0

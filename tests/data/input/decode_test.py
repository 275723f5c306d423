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

"""Records of every kind, sound and broken; Model Garden's TfExampleDecoder is the oracle for the sound ones."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from official.vision.dataloaders import tf_example_decoder
from PIL import Image

from nasfpn_tf.data.input.decode import decode_record, naming_record, source_id
from nasfpn_tf.data.sources.problems import DataError
from tests.data import synthetic

SHARD = 'train-00002-of-00008.tfrecord'
BOX = [[0.1, 0.2, 0.5, 0.6]]


@pytest.fixture(scope='module')
def picture() -> bytes:
  return synthetic.encode(synthetic.image(60, 80))


def decode(serialized: bytes, num_classes: int = 0):
  """Decodes inside a dataset, as the input does."""
  dataset = tf.data.Dataset.from_tensors(serialized).map(lambda x: decode_record(x, tf.constant(SHARD), num_classes))
  return next(iter(dataset))


@pytest.mark.parametrize(
  ('file_format', 'mode'),
  [('JPEG', 'RGB'), ('JPEG', 'L'), ('JPEG', 'CMYK'), ('PNG', 'RGB'), ('PNG', 'L'), ('PNG', 'RGBA'), ('PNG', 'P'),
   ('BMP', 'RGB'), ('GIF', 'P')],
)  # fmt: skip
def test_image_formats(file_format, mode):
  encoded = synthetic.encode(synthetic.image(60, 80), file_format, mode)
  record = decode(synthetic.example(encoded, BOX, [1]))
  assert record.image.dtype == tf.uint8 and record.image.shape == (60, 80, 3)
  expected = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB'), float)
  assert np.abs(record.image.numpy() - expected).mean() < 1


def test_decodes_as_model_garden():
  serialized = synthetic.example(
    synthetic.encode(synthetic.image(60, 80)),
    synthetic.random_boxes(4),
    [1, 2, 3, 4],
    '9007199254740993',
    is_crowd=[0, 1, 0, 0],
    areas=[10.0, 20.0, 30.0, 40.5],
  )
  record, expected = decode(serialized), tf_example_decoder.TfExampleDecoder().decode(serialized)
  assert record.source_id == int(expected['source_id'].numpy()) == 2**53 + 1
  np.testing.assert_array_equal(record.image, expected['image'])
  np.testing.assert_array_equal(record.boxes, expected['groundtruth_boxes'])
  np.testing.assert_array_equal(record.classes, expected['groundtruth_classes'])
  np.testing.assert_array_equal(record.areas, expected['groundtruth_area'])
  np.testing.assert_array_equal(record.is_crowd, expected['groundtruth_is_crowd'])


def test_missing_areas_and_crowds_are_filled(picture):
  record = decode(synthetic.example(picture, BOX, [1]))
  np.testing.assert_allclose(record.areas, [0.4 * 60 * 0.4 * 80], rtol=1e-5)
  np.testing.assert_array_equal(record.is_crowd, [False])


def test_an_image_without_objects(picture):
  record = decode(synthetic.example(picture), num_classes=5)
  assert record.boxes.shape == (0, 4) and record.classes.shape == (0,) and record.is_crowd.shape == (0,)


@pytest.mark.parametrize('text', ['', 'image.jpg', '12x'])
def test_a_source_id_that_is_no_number_is_hashed(picture, text):
  first, again = (decode(synthetic.example(picture, BOX, [1], text)).source_id.numpy() for _ in range(2))
  assert 0 <= first < 2**52 and first == again


def test_hashed_source_ids_of_many_images_differ():
  ids = {int(source_id(tf.constant(f'{i}.jpg'), tf.constant(b''))) for i in range(3000)}
  assert len(ids) == 3000, 'evaluation would take two images for one'


def huge(file_format):
  """A small file whose header announces 23000 x 23000 pixels."""
  data = bytearray(synthetic.encode(synthetic.image(60, 80), file_format))
  side = (23000).to_bytes(4, 'big')
  if file_format == 'JPEG':
    start = data.index(b'\xff\xc0') + 5
    data[start : start + 4] = side[2:] * 2
  elif file_format == 'PNG':
    data[16:24] = side * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, 'big')
  elif file_format == 'GIF':
    data[6:10] = side[:1:-1] * 2
  else:
    data[18:26] = side[::-1] * 2
  return bytes(data)


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'GIF', 'BMP'])
@pytest.mark.parametrize('end', [b'', b'behind'])
def test_a_huge_image_is_refused_before_it_is_decoded(file_format, end):
  with pytest.raises(tf.errors.InvalidArgumentError, match='over 178956970 pixels') as error:
    decode(synthetic.example(huge(file_format) + end, BOX, [1], '77'))
  assert '77' in str(error.value) and SHARD in str(error.value)


@pytest.mark.parametrize('edge', [-np.inf, np.inf])
@pytest.mark.parametrize('place', range(4))
def test_an_infinite_box_is_refused(picture, edge, place):
  box = [0.3, 0.3, 0.7, 0.7]
  box[place] = edge
  with pytest.raises(tf.errors.InvalidArgumentError, match='infinite numbers are none'):
    decode(synthetic.example(picture, [box], [1]))


def test_an_image_with_bytes_behind_its_end_is_read(picture):
  record = decode(synthetic.example(picture + b'behind', BOX, [1]))
  assert record.image.shape == (60, 80, 3)


@pytest.mark.parametrize(
  'spoil',
  [
    lambda x: x[:-200],
    lambda x: x[: len(x) // 2],
    lambda x: b'',
    lambda x: b'<html>404</html>',
    lambda x: b'\x00' * 90,
  ],
  ids=['end cut off', 'half', 'empty', 'no image', 'zeros'],
)
@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
def test_a_broken_image_is_named(spoil, file_format):
  encoded = spoil(synthetic.encode(synthetic.image(60, 80), file_format))
  with pytest.raises(tf.errors.InvalidArgumentError, match=rf'truncated or not a JPEG.*{SHARD}.*\[4711\]'):
    decode(synthetic.example(encoded, BOX, [1], '4711'))


@pytest.mark.parametrize(
  ('boxes', 'classes', 'message'),
  [
    (BOX, [0], r'label is not in 1\.\.10'),
    (BOX, [11], r'label is not in 1\.\.10'),
    (BOX, [1, 2], 'differ in length'),
    (BOX, [], 'differ in length'),
    ([[0.5, 0.2, 0.1, 0.6]], [1], 'minimum above its maximum'),
    ([[0.1, float('nan'), 0.5, 0.6]], [1], 'not a number'),
  ],
)
def test_broken_objects_are_named(picture, boxes, classes, message):
  with pytest.raises(tf.errors.InvalidArgumentError, match=rf'{message}.*{SHARD}.*\[4711\]'):
    decode(synthetic.example(picture, boxes, classes, '4711'), num_classes=11)


def _wrong_kind():
  wrong = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))
  return tf.train.Example(features=tf.train.Features(feature={'image/object/class/label': wrong})).SerializeToString()


@pytest.mark.parametrize(
  ('record', 'message'),
  [
    (b'\x0a\xff\xff', r'x\.tfrecord record 1: is not a tf\.train\.Example'),
    (b'{"text": 1}', r'x\.tfrecord record 1: is not a tf\.train\.Example'),
    (_wrong_kind(), r'x\.tfrecord record 1: image/object/class/label is a float_list; it must be a int64_list'),
  ],
  ids=['no text', 'text', 'wrong kind'],
)
def test_a_record_that_is_none_is_named(picture, tmp_path, record, message):
  """TensorFlow's message quotes its bytes, which Python cannot always take for text, and names no file."""
  path = synthetic.write(tmp_path / 'x.tfrecord', [synthetic.example(picture, BOX, [1], '1'), record])
  records = tf.data.TFRecordDataset([path]).map(lambda data: decode_record(data, tf.constant(path)).source_id)
  with pytest.raises(DataError, match=message), naming_record([path]):
    list(records.as_numpy_iterator())


def test_what_names_its_record_stays(picture, tmp_path):
  path = synthetic.write(tmp_path / 'x.tfrecord', [synthetic.example(picture, BOX, [0], '4711')])
  records = tf.data.TFRecordDataset([path]).map(lambda data: decode_record(data, tf.constant(path)).source_id)
  with pytest.raises(DataError, match=r'label is not in 1\.\..*x\.tfrecord.*4711'), naming_record([path]):
    list(records.as_numpy_iterator())

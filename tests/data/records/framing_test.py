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

"""Tests of the framing check: what TensorFlow crashes on or passes over is refused, with file, record and offset."""

import json
import struct

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.records import framing
from nasfpn_tf.data.records.manifest import Manifest, Shard


def _write(path, records=(b'a' * 10, b'b' * 3000, b'')):
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in records:
      writer.write(record)
  return path


def _manifest(directory, files):
  shards = tuple(Shard(path.name, count, path.stat().st_size) for path, count in files)
  value = Manifest(num_records=sum(count for _, count in files), num_classes=2, labels=(), shards=shards)
  path = directory / 'train.manifest.json'
  path.write_text(json.dumps(value.to_dict()))
  return Manifest.load(path)


@pytest.mark.parametrize(('data', 'crc'), [(b'123456789', 0xE3069283), (b'\0' * 32, 0x8A9136AA), (b'', 0)])
def test_crc32c_of_rfc_3720(data, crc):
  unmasked = (framing.masked_crc32c(data) - 0xA282EAD8) & 0xFFFFFFFF
  assert (unmasked >> 17 | unmasked << 15) & 0xFFFFFFFF == crc


@pytest.mark.parametrize('length', [1, 8, 8191, 8192, 8193, 70001])
def test_crc_is_the_one_tensorflow_writes(tmp_path, length):
  data = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
  content = _write(tmp_path / 'x', [data]).read_bytes()
  assert struct.unpack('<I', content[-4:])[0] == framing.masked_crc32c(data)


def test_whole_files_pass_and_are_counted(tmp_path):
  paths = [_write(tmp_path / 'a'), _write(tmp_path / 'b', []), _write(tmp_path / 'c', [b'x'])]
  assert framing.check_files(paths) == 4
  assert framing.check_files(paths, data=True) == 4
  assert list(framing.read_records(paths[0])) == [(b'a' * 10, True), (b'b' * 3000, True), (b'', True)]


def _giant_length(data):
  header = struct.pack('<Q', 2**40)
  return header + struct.pack('<I', framing.masked_crc32c(header)) + data[12:62]


@pytest.mark.parametrize(
  ('damage', 'record', 'offset', 'message'),
  [
    (_giant_length, 0, 0, 'claims 1099511627776 bytes'),
    (lambda data: data[:30], 1, 26, 'ends inside the header, after 30 bytes'),
    (lambda data: data[:-1], 2, 3042, 'claims 0 bytes, the file has -1 left'),
    (lambda data: data[:2000], 1, 26, 'claims 3000 bytes, the file has 1958 left'),
    (lambda data: data[:27] + b'\x01' + data[28:], 1, 26, 'the CRC of the length is wrong'),
    (lambda data: b'\xff\xd8 a JPEG and no TFRecord', 0, 0, 'not a TFRecord file'),
    (lambda data: data + b'\0' * 5, 3, 3058, 'ends inside the header'),
  ],
)
def test_broken_framing_is_refused_with_file_record_and_offset(tmp_path, damage, record, offset, message):
  path = _write(tmp_path / 'x.tfrecord')
  path.write_bytes(damage(path.read_bytes()))
  with pytest.raises(framing.FramingError) as error:
    framing.check_files([path])
  assert f'{path}: record {record} at byte {offset}: ' in str(error.value)
  assert message in str(error.value)


def test_damaged_data_shows_when_its_crc_is_checked(tmp_path):
  path = _write(tmp_path / 'x.tfrecord')
  data = bytearray(path.read_bytes())
  data[1000] ^= 1
  path.write_bytes(data)
  assert framing.check_files([path]) == 3
  with pytest.raises(framing.FramingError, match='record 1 at byte 26: the CRC of its 3000 bytes of data'):
    framing.check_files([path], data=True)
  assert [intact for _, intact in framing.read_records(path)] == [True, False, True]


def test_gzip_is_named(tmp_path):
  path = tmp_path / 'x.tfrecord'
  with tf.io.TFRecordWriter(str(path), 'GZIP') as writer:
    writer.write(b'a' * 100)
  with pytest.raises(framing.FramingError, match='compressed with gzip'):
    framing.check_files([path])


def test_files_are_those_of_the_manifest(tmp_path):
  paths = [_write(tmp_path / f'train-0000{i}-of-00002.tfrecord') for i in range(2)]
  manifest = _manifest(tmp_path, [(path, 3) for path in paths])
  assert framing.check_files(paths) == 6
  assert framing.check_files(paths, manifest) == 6
  stray = _write(tmp_path / 'train-00000-of-00004.tfrecord')
  with pytest.raises(framing.FramingError, match='does not list this file'):
    framing.check_files([stray])
  _write(paths[1], [b'a'])
  with pytest.raises(framing.FramingError, match=r'00001-of-00002\.tfrecord: 17 bytes where .* says 3058'):
    framing.check_files(paths)
  _write(paths[1], [b'a' * 10, b'b' * (3000 + 16)])
  with pytest.raises(framing.FramingError, match=r'2 records where .* says 3'):
    framing.check_files(paths)


def test_a_directory_is_no_shard(tmp_path):
  (tmp_path / 'a.tfrecord').mkdir()
  with pytest.raises(framing.FramingError, match=r'a\.tfrecord: a directory, not a file of records'):
    framing.check_files([str(tmp_path / 'a.tfrecord')])


def test_a_missing_shard_is_named(tmp_path):
  paths = [_write(tmp_path / f'train-0000{i}-of-00003.tfrecord') for i in (0, 2)]
  with pytest.raises(framing.FramingError, match=r'train-00001-of-00003\.tfrecord is missing'):
    framing.check_files(paths)
  _write(tmp_path / 'train-00001-of-00003.tfrecord')
  assert framing.check_files(paths) == 6, 'some of a whole set may be read'


def test_no_such_file(tmp_path):
  with pytest.raises(FileNotFoundError):
    framing.check_files([tmp_path / 'absent'])

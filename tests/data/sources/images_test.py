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

"""Tests of bringing images into a form that all readers see alike."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from nasfpn_tf.data.sources import images
from tests.data import samples

_RGB = Image.fromarray(samples.pixels())
_GREY = _RGB.convert('L')
_SIXTEEN_BITS = Image.fromarray((np.arange(32 * 48).reshape(32, 48) * 40).astype(np.uint16))


def _decode(data):
  return tf.io.decode_image(data, channels=3).numpy()


def _with_16_bit_colour():
  """A 16-bit RGB PNG, which Pillow reads but does not write."""
  return tf.io.encode_png(samples.pixels().astype(np.uint16) * 257).numpy()


@pytest.mark.parametrize(
  ('data', 'format'),
  [
    (samples.encode(_RGB), 'jpeg'),
    (samples.encode(_RGB, progressive=True), 'jpeg'),
    (samples.encode(_GREY), 'jpeg'),
    (samples.encode(_RGB, orientation=1), 'jpeg'),
    (samples.encode(_RGB, 'PNG'), 'png'),
    (samples.encode(_GREY, 'PNG'), 'png'),
  ],
  ids=['rgb', 'progressive', 'grey', 'upright', 'png', 'grey png'],
)
def test_a_plain_image_passes_byte_for_byte(data, format):
  encoded = images.encode(data, 48, 32)
  assert encoded == images.EncodedImage(data, format, 48, 32, None)
  assert _decode(encoded.data).shape == (32, 48, 3)


@pytest.mark.parametrize(
  'data',
  [
    samples.encode(_RGB.convert('CMYK')),
    samples.encode(_RGB.convert('P'), 'PNG'),
    samples.encode(_RGB.convert('RGBA'), 'PNG'),
    samples.encode(_RGB.convert('LA'), 'PNG'),
    samples.encode(_RGB.convert('1'), 'PNG'),
    samples.encode(_SIXTEEN_BITS, 'PNG'),
    samples.encode(_SIXTEEN_BITS, 'TIFF'),
    _with_16_bit_colour(),
    samples.encode(_RGB, 'BMP'),
    samples.encode(_RGB, 'GIF'),
    samples.encode(_RGB, 'WEBP'),
    samples.encode(_RGB, 'TIFF'),
  ],
  ids=['cmyk', 'palette', 'rgba', 'la', '1 bit', '16 bit', '16 bit tiff', '16 bit rgb', 'bmp', 'gif', 'webp', 'tiff'],
)
def test_any_other_image_becomes_rgb_jpeg_with_the_same_pixels(data):
  encoded = images.encode(data, 48, 32)
  assert encoded.format == 'jpeg'
  assert encoded.change[0] == 'image_transcoded'
  assert images.encode(encoded.data, 48, 32).change is None, 'the result is plain'
  image = Image.open(io.BytesIO(data))
  if image.mode.startswith('I;16'):
    expected = np.repeat((np.asarray(image) >> 8)[..., None], 3, axis=-1)
  else:
    expected = np.asarray(image.convert('RGB'))
  difference = np.abs(_decode(encoded.data).astype(int) - expected)
  limit = 60 if image.mode in ('P', '1') else 4  # Dithered images are noise, which JPEG keeps less well.
  assert difference.mean() < limit


@pytest.mark.parametrize('orientation', range(2, 9))
def test_orientation_is_applied_where_the_boxes_are_for_the_upright_image(orientation):
  data = samples.encode(_RGB, orientation=orientation, quality=95)
  upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
  encoded = images.encode(data, *upright.size)
  assert encoded.change[0] == 'image_rotated'
  assert (encoded.width, encoded.height) == upright.size
  assert np.abs(_decode(encoded.data).astype(int) - np.asarray(upright)).mean() < 3
  assert images.encode(data).width == upright.width, 'upright is meant where nobody says'
  assert 0x0112 not in Image.open(io.BytesIO(encoded.data)).getexif()


@pytest.mark.parametrize('orientation', range(5, 9))
def test_orientation_is_dropped_where_the_boxes_are_for_the_stored_pixels(orientation):
  data = samples.encode(_RGB, orientation=orientation)
  encoded = images.encode(data, 48, 32)
  assert encoded.change[0] == 'orientation_dropped'
  assert Image.open(io.BytesIO(encoded.data)).getexif().get(0x0112, 1) == 1
  np.testing.assert_array_equal(_decode(encoded.data), _decode(data))


def test_orientation_of_a_png_is_dropped_as_well():
  encoded = images.encode(samples.encode(_RGB, 'PNG', orientation=6), 48, 32)
  assert encoded.change[0] == 'orientation_dropped'
  assert Image.open(io.BytesIO(encoded.data)).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    (b'', 'the file is empty'),
    (b'not an image', 'not an image that can be read'),
    (samples.encode(_RGB)[:40], 'not an image|truncated or corrupt'),
    (samples.encode(_RGB)[:-100], 'truncated or corrupt'),
    (samples.encode(_RGB, 'PNG')[:-40], 'truncated or corrupt'),
    (samples.encode(_RGB, 'GIF')[:-200], 'truncated or corrupt'),
    (samples.encode(Image.fromarray(np.ones((32, 48), np.float32)), 'TIFF'), '32-bit pixels'),
  ],
  ids=['empty', 'text', 'header only', 'jpeg', 'png', 'gif', 'float'],
)
def test_an_unreadable_image_is_an_error(data, message):
  with pytest.raises(images.ImageError, match=message) as error:
    images.encode(data, 48, 32)
  assert error.value.kind == 'image_unreadable'


@pytest.mark.parametrize('orientation', [1, 6])
def test_another_size_is_an_error_that_names_both(orientation):
  with pytest.raises(images.ImageError, match='annotations are for 48x33') as error:
    images.encode(samples.encode(_RGB, orientation=orientation), 48, 33)
  assert error.value.kind == 'image_size_mismatch'


def test_random_damage_is_an_error_or_an_image_but_never_a_crash():
  rng = np.random.default_rng(0)
  originals = [samples.encode(_RGB, format) for format in ('JPEG', 'PNG', 'GIF', 'WEBP', 'TIFF', 'BMP')]
  originals.append(samples.encode(_RGB, orientation=6))
  refused = 0
  for _ in range(40):
    for original in originals:
      data = bytearray(original)
      for _ in range(4):
        data[rng.integers(2, len(data))] = rng.integers(256)
      try:
        encoded = images.encode(bytes(data))
        assert _decode(encoded.data).shape == (encoded.height, encoded.width, 3)
      except images.ImageError:
        refused += 1
  assert refused > 20


def test_drop_exif_keeps_every_other_byte():
  plain = samples.encode(_RGB)
  tagged = samples.encode(_RGB, orientation=8)
  assert images.drop_exif(plain) == plain
  stripped = images.drop_exif(tagged)
  assert b'Exif\0\0' not in stripped
  assert len(stripped) < len(tagged)
  np.testing.assert_array_equal(_decode(stripped), _decode(tagged))


def test_read_size(tmp_path):
  for orientation, size in ((1, (48, 32)), (3, (48, 32)), (6, (32, 48))):
    path = tmp_path / f'{orientation}.jpg'
    path.write_bytes(samples.encode(_RGB, orientation=orientation))
    assert images.read_size(os.fspath(path)) == size
  with pytest.raises(images.ImageError, match='No such file') as error:
    images.read_size(os.fspath(tmp_path / 'absent.jpg'))
  assert error.value.kind == 'image_missing'

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

"""Converts images to a form that all readers decode alike: upright RGB or gray JPEG, or plain 8-bit PNG.

TensorFlow's `decode_image` ignores EXIF orientation, returns four axes for GIF and WebP, knows no TIFF and has its own
idea of CMYK. A plain image passes through byte for byte; any other is decoded once, here, and stored as JPEG.
"""

import dataclasses
import io
import os
import re

import numpy as np
from PIL import Image, UnidentifiedImageError

from nasfpn_tf import failure
from nasfpn_tf.data.sources.problems import DataError

JPEG_QUALITY = 95
MAX_PIXELS = 178_956_970  # Beyond, Pillow takes an image for an attack: 0.5 GB decoded, often of a small file.
_RATIO = 8  # libjpeg's largest.
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright, 5 to 8 are turned by 90 degrees.
_TURNED = (5, 6, 7, 8)
_UPRIGHT = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}


# Formats that Pillow reads and that hold photographs.
_FORMATS = ('AVIF', 'BMP', 'DIB', 'GIF', 'JPEG', 'JPEG2000', 'MPO', 'PNG', 'PPM', 'TGA', 'TIFF', 'WEBP')
# What files without a known name are tried as: DIB and TGA have no signature, MPO is opened as a JPEG.
_BY_CONTENT = tuple(name for name in _FORMATS if name not in ('DIB', 'TGA', 'MPO'))
EXTENSIONS = tuple(sorted(end for end, name in Image.registered_extensions().items() if name in _FORMATS))


class ImageError(DataError):
  """An image that cannot be used; `kind` is a key of `problems.KINDS`."""

  def __init__(self, kind: str, message: str):
    super().__init__(message)
    self.kind = kind


@dataclasses.dataclass(frozen=True)
class EncodedImage:
  """An image ready for a record.

  Attributes:
    data: the file's bytes, or those of its new encoding.
    format: 'jpeg' or 'png'.
    width: in pixels, as decoded.
    height: in pixels, as decoded.
    change: (kind, message) of what was done to it, None where the bytes are the file's.
  """

  data: bytes
  format: str
  width: int
  height: int
  change: tuple[str, str] | None = None


def encode(data: bytes, width: int | None = None, height: int | None = None) -> EncodedImage:
  """Encodes the image in `data` so that all readers decode it alike.

  Args:
    data: an image file of any format that Pillow reads.
    width: the size that the boxes were drawn for, None where nobody says. It also tells whether they were drawn on the
      upright image or on the pixels as stored, where an EXIF orientation makes a difference.
    height: see `width`.

  Raises:
    ImageError: the image is truncated, corrupt, of an unknown format or pixel type, or of another size.
  """
  if not data:
    raise ImageError('image_unreadable', 'the file is empty')
  image = _open(data)
  orientation = _orientation(image)
  stored = image.size
  upright = stored[::-1] if orientation in _TURNED else stored
  declared = (width or upright[0], height or upright[1])
  if declared not in (stored, upright):
    raise ImageError('image_size_mismatch', f'is {_size(upright)}, its annotations are for {_size(declared)}')
  turn = orientation != 1 and declared == upright
  plain = _is_plain(image, data)
  if plain and not turn:
    change = None
    if orientation != 1:
      change = ('orientation_dropped', f'orientation {orientation}, {_size(declared)} are the stored pixels')
    if change and plain == 'png':
      data, plain = _to_jpeg(_rgb(image)), 'jpeg'
    elif change:
      data = drop_exif(data)
  else:
    pixels = _rgb(image)
    if turn:
      pixels = pixels.transpose(_UPRIGHT[orientation])
      change = ('image_rotated', f'orientation {orientation} applied, {_size(declared)}')
    else:
      change = ('image_transcoded', f'{image.format} {image.mode} became RGB JPEG')
    data, plain = _to_jpeg(pixels), 'jpeg'
  _verify(data, plain, declared)
  return EncodedImage(data, plain, declared[0], declared[1], change)


def is_image(path: str) -> bool:
  """Tells whether a file is an image by its content, whatever its name."""
  try:
    with Image.open(path, formats=_BY_CONTENT):
      return True
  except Exception:  # See `_open`.
    return False


def count_frames(data: bytes) -> int:
  """Returns how many frames or pages an image file has; 1 for a photograph with a preview or a second view (MPO)."""
  image = _open(data)
  try:
    return 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
  except Exception:  # A broken frame after the first, which has been read.
    return 1


def upright_rgb(image: Image.Image) -> Image.Image:
  """Converts an opened image to 8-bit RGB, upright as its EXIF orientation says.

  Raises:
    ImageError: the image is truncated, corrupt, or of a pixel type without an agreed range.
  """
  orientation = _orientation(image)
  pixels = _rgb(image)
  return pixels if orientation == 1 else pixels.transpose(_UPRIGHT[orientation])


def read_size(path: str) -> tuple[int, int]:
  """Reads (width, height) of the upright image from the file's header.

  Raises:
    ImageError: no such file, or not an image.
  """
  try:
    with open(path, 'rb') as file:
      image = _open(file)
      return image.size[::-1] if _orientation(image) in _TURNED else image.size
  except ImageError:
    raise
  except (OSError, ValueError) as error:
    raise missing(error) from error


def stored_size(data: bytes) -> tuple[int, int]:
  """Returns (width, height) of the pixels as stored, from the header alone: TensorFlow ignores an EXIF orientation.

  Raises:
    ImageError: not an image, or one of more than `MAX_PIXELS`.
  """
  return _open(data).size


def missing(error: OSError | ValueError) -> ImageError:
  """Returns the error for a file that could not be opened; a ValueError means that no file can have the name."""
  where = os.path.dirname(getattr(error, 'filename', None) or '')
  looked = f' (looked in {where})' if where and isinstance(error, FileNotFoundError | PermissionError) else ''
  return ImageError('image_missing', f'cannot be read: {getattr(error, "strerror", None) or error}{looked}')


def drop_exif(data: bytes) -> bytes:
  """Removes the EXIF segments of a JPEG; the pixels and all other segments stay as they are."""
  kept = [data[:2]]
  position = 2
  while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
    if data[position + 1] == 0xFF:  # Fill byte.
      position += 1
      continue
    end = position + 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    segment = data[position:end]
    if not (segment[1] == 0xE1 and segment[4:10] == b'Exif\0\0'):
      kept.append(segment)
    position = end
  kept.append(data[position:])
  return b''.join(kept)


def _open(source) -> Image.Image:
  try:
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
  except Image.DecompressionBombError as error:
    size = re.search(r'\((\d+) pixels\)', str(error))
    raise ImageError('image_unreadable', _too_large(int(size[1]) if size else MAX_PIXELS)) from error
  except UnidentifiedImageError as error:  # Its own message names an object in memory.
    raise ImageError('image_unreadable', 'not an image that can be read: its format is unknown') from error
  except Exception as error:  # Pillow's plugins raise whatever malformed bytes lead them to.
    raise ImageError('image_unreadable', f'not an image that can be read: {reason(error)}') from error
  if image.width * image.height > MAX_PIXELS:  # Where someone has lifted Pillow's own limit.
    raise ImageError('image_unreadable', _too_large(image.width * image.height))
  return image


def _too_large(num_pixels: int) -> str:
  return f'{num_pixels / 1e6:.0f} million pixels, more than the {MAX_PIXELS / 1e6:.0f} million that are read: shrink it'


def _orientation(image: Image.Image) -> int:
  if image.format in ('JPEG', 'MPO') and 'exif' not in image.info:
    return 1
  try:
    value = image.getexif().get(_ORIENTATION, 1)
  except Exception:  # Broken EXIF is no reason to refuse the pixels.
    return 1
  return value if value in range(1, 9) else 1


def _is_plain(image: Image.Image, data: bytes) -> str:
  """Returns 'jpeg' or 'png' if every reader decodes the same pixels, else ''."""
  if image.mode not in ('RGB', 'L'):
    return ''
  if image.format in ('JPEG', 'MPO'):
    return 'jpeg'
  is_8_bit = data[24:25] == b'\x08'  # Bit depth in PNG's first chunk: Pillow calls 16-bit color RGB, too.
  return 'png' if image.format == 'PNG' and is_8_bit and 'transparency' not in image.info else ''


def _rgb(image: Image.Image) -> Image.Image:
  """Converts to 8-bit RGB: keeps the upper 8 of 16 bits, as TensorFlow does, and ignores transparency."""
  try:
    if image.mode.startswith('I;16'):
      image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ('I', 'F'):
      kind = ' '.join(filter(None, (image.format, image.mode)))  # An image in memory has no format.
      raise ImageError('image_unreadable', f'32-bit pixels ({kind}) have no agreed range')
    return image.convert('RGB')
  except ImageError:
    raise
  except Exception as error:  # See `_open`.
    raise ImageError('image_unreadable', f'truncated or corrupt: {reason(error)}') from error


def _to_jpeg(image: Image.Image) -> bytes:
  buffer = io.BytesIO()
  image.info.clear()
  image.save(buffer, 'JPEG', quality=JPEG_QUALITY)
  return buffer.getvalue()


def _verify(data: bytes, kind: str, size: tuple[int, int]) -> None:
  """Decodes with what will read the record; a JPEG at an eighth of its size, which reads as many of its bytes."""
  import tensorflow as tf  # Only here: reading annotations and headers starts without it.

  expected = (size[1], size[0], 3)
  try:
    if kind == 'jpeg':
      shape = tf.io.decode_jpeg(data, channels=3, ratio=_RATIO).shape
      expected = (-(-size[1] // _RATIO), -(-size[0] // _RATIO), 3)
    else:
      shape = tf.io.decode_image(data, channels=3).shape
  except tf.errors.OpError as error:
    raise ImageError('image_unreadable', f'truncated or corrupt: {reason(error)}') from error
  if tuple(shape) != expected:
    raise ImageError('image_unreadable', f'TensorFlow reads it as {tuple(shape)}, not as {expected}')


def _size(size: tuple[int, int]) -> str:
  return f'{size[0]}x{size[1]}'


def reason(error: Exception) -> str:
  """Returns what a decoder says on one line, shortened."""
  if isinstance(error, UnidentifiedImageError):  # Its message is the address of an object of ours.
    return 'its content is not of a known image format'
  return failure.message(error)[:160]

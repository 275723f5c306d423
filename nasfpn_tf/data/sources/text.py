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

"""Reads text files in the encodings and line endings of common editors and tools."""

import codecs
import os

_BOMS = ((codecs.BOM_UTF8, 'utf-8-sig'), (codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))


def read_text(path: str | os.PathLike[str]) -> str:
  """Reads a file of UTF-8, or of UTF-16 with a byte order mark; the mark is no part of the text.

  Raises:
    OSError: the file cannot be read.
    UnicodeDecodeError: it is of neither encoding.
  """
  with open(path, 'rb') as file:
    data = file.read()
  encoding = next((name for bom, name in _BOMS if data.startswith(bom)), 'utf-8')
  return data.decode(encoding)


def reason(error: OSError | UnicodeDecodeError) -> str:
  """Returns in a few words why a text file could not be read."""
  if isinstance(error, UnicodeDecodeError):
    return f'neither UTF-8 nor UTF-16 text (byte {error.start}); save it as UTF-8'
  return error.strerror or type(error).__name__

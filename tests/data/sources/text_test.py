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

"""Encodings of text files."""

import pytest

from nasfpn_tf.data.sources.text import read_text, reason


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_byte_order_marks_are_no_text(tmp_path, encoding):
  path = tmp_path / 'x.txt'
  path.write_text('café\n', encoding=encoding)
  assert read_text(path) == 'café\n'


def test_another_encoding_is_an_error_with_a_reason(tmp_path):
  path = tmp_path / 'x.txt'
  path.write_bytes('café'.encode('latin-1'))
  with pytest.raises(UnicodeDecodeError) as error:
    read_text(path)
  assert reason(error.value) == 'neither UTF-8 nor UTF-16 text (byte 3); save it as UTF-8'

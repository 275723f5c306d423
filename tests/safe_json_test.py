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

"""JSON that anybody may have written."""

import pytest

from nasfpn_tf import safe_json


@pytest.mark.parametrize('text', ['{"a": [1, 2.5, "x", null, true]}', '[]', '3', '[' * 64 + ']' * 64])
def test_plain_values(text):
  import json

  assert safe_json.loads(text) == json.loads(text)


@pytest.mark.parametrize(
  'text, problem',
  [
    ('', 'not JSON'),
    ('{"a": NaN}', 'NaN is not a JSON number'),
    ('[-Infinity]', '-Infinity is not a JSON number'),
    ('[1e999]', 'too large'),
    ('{"a": 1, "a": 2}', "key 'a' is given twice"),
    ('[' * 70 + ']' * 70, 'nested deeper than 64'),
    ('[' * 100_000, 'nested deeper than 64'),
    ('[{"[": ' * 40, 'nested deeper than 64'),
    ('[{"[[": "[\\"["}, ' * 40, 'not JSON'),
    ('{"a":' * 100_000, 'nested deeper than 64'),
    ('1' * 5000, 'not JSON|digits'),
  ],
)
def test_what_is_refused(text, problem):
  with pytest.raises(ValueError, match=problem):
    safe_json.loads(text)


def test_the_file_is_named(tmp_path):
  path = tmp_path / 'a.json'
  for content, problem in ((b'{', 'not JSON'), (b'\xff\xfe', 'not UTF-8'), (b'[' + b' ' * 200, 'larger than')):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'a\.json: {problem}'):
      safe_json.load(path, max_bytes=100)
  path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
  assert safe_json.load(path) == {'a': 1}
  with pytest.raises(FileNotFoundError):
    safe_json.load(tmp_path / 'b.json')

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

"""Fills the HTML templates of the reports, which are files beside this module; values are escaped.

A file of templates/ has named parts, each after a line `<!-- name -->`; `$value` is where a value goes.
"""

import functools
import html
import pathlib
import re
import string
from collections.abc import Iterable

_ASSETS = pathlib.Path(__file__).parent
_PART = re.compile(r'^<!-- (\w+) -->\n', re.MULTILINE)


class Raw(str):
  """Text that is HTML already and is not escaped again."""


def fill(template: str, **values: object) -> Raw:
  """Fills a template.

  Args:
    template: 'file.part', such as 'page.table' for the part `table` of templates/page.html.
    **values: by their names in the template; `Raw` goes in as it is, a list is escaped piece by piece and joined.
  """
  file, part = template.split('.')
  return Raw(_parts(file)[part].substitute({key: escape(value) for key, value in values.items()}))


def escape(value: object) -> Raw:
  """Makes a value HTML: everything but `Raw` is escaped."""
  if isinstance(value, Raw):
    return value
  return join(value) if isinstance(value, list | tuple) else Raw(html.escape(str(value)))


def join(values: Iterable[object]) -> Raw:
  """Joins values, each escaped."""
  return Raw(''.join(map(escape, values)))


@functools.cache
def asset(name: str) -> Raw:
  """Reads a style sheet or a script that lies beside this module, such as 'frontier.js'."""
  return Raw((_ASSETS / name).read_text(encoding='utf-8'))


@functools.cache
def _parts(file: str) -> dict[str, string.Template]:
  _, *found = _PART.split(asset(f'templates/{file}.html'))
  texts = zip(found[::2], found[1::2], strict=True)
  return {name: string.Template(text.rstrip('\n')) for name, text in texts}

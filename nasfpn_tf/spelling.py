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

"""Suggests known names that are close to an unknown one."""

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str:
  """Writes a hint for an error message.

  Args:
    name: the unknown name.
    choices: the known names.

  Returns:
    The nearest of `choices`, if any is close, and all of them if there are few: "did you mean 'sum'? known are sum,
      max."
  """
  choices = list(choices)
  near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
  known = f'known are {", ".join(choices)}.' if len(choices) <= 20 or not near else ''
  return ' '.join(part for part in (f'did you mean {" or ".join(map(repr, near))}?' if near else '', known) if part)

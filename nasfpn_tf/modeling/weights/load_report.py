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
"""Reports the result of loading weights: which variables were set, which kept their values, what was not used."""

import dataclasses
from collections.abc import Sequence

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class LoadReport:
  """Outcome of loading a file.

  Attributes:
    source: the file.
    matched: variables of the model that were set, 'backbone/conv2d/kernel:0'.
    missing: sentences about the variables of the model that keep their values: not in the file, or of another shape.
    unused: what of the file nothing took: variables of a checkpoint, layers of a Keras file.
  """

  source: str
  matched: tuple[str, ...]
  missing: tuple[str, ...] = ()
  unused: tuple[str, ...] = ()

  def __str__(self) -> str:
    """Summarizes the report in one line with the first few names."""
    return (
      f'weights from {self.source}: {len(self.matched)} variables set, {_counted(self.missing)} left as they were,'
      f' {_counted(self.unused)} of the file not used'
    )


def _counted(names: Sequence[str]) -> str:
  shown = '; '.join(names[:_SHOWN]) + ('; ...' if len(names) > _SHOWN else '')
  return f'{len(names)} ({shown})' if names else '0'

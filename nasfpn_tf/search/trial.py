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

"""Defines trials and their measurements: two frozen values, each one line of JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from nasfpn_tf.search import space as space_lib

OK = 'ok'  # Evaluated.
REUSED = 'reused'  # The same architecture was evaluated before; its figures are repeated.
FAILED = 'failed'  # Reward 0, with a reason.


@dataclasses.dataclass(frozen=True)
class Trial:
  """A proposed architecture, before its evaluation.

  Attributes:
    id: its number in the search, from 0 in the order of proposals.
    tokens: the sequence in the search space.
    architecture: JSON form of what the sequence decodes to, e.g. a topology.
    digest: of the architecture; trials of one digest share a reward.
    info: whatever the searcher wants back when it observes the trial, JSON (the log probability, a parent).
  """

  id: int
  tokens: tuple[int, ...]
  architecture: Mapping[str, Any]
  digest: str
  info: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @classmethod
  def of(
    cls,
    space: space_lib.SearchSpace,
    trial_id: int,
    tokens: Sequence[int],
    info: Mapping[str, Any] | None = None,
  ) -> 'Trial':
    """Creates the trial of a legal sequence of `space`."""
    architecture = space.decode(tokens)
    return cls(
      trial_id, tuple(int(token) for token in tokens), architecture.to_dict(), architecture.digest, dict(info or {})
    )

  def to_json(self) -> str:
    """Writes one line of JSON."""
    return _line(self)

  @classmethod
  def from_json(cls, text: str) -> 'Trial':
    """Reads `to_json`."""
    fields = json.loads(text)
    return cls(**{**fields, 'tokens': tuple(fields['tokens'])})


@dataclasses.dataclass(frozen=True)
class Measurement:
  """The result of an evaluation.

  Attributes:
    reward: what the searcher maximizes; finite and not negative, 0 where the trial failed.
    ap: COCO's AP, 0..1, if that is what was measured.
    cost: multiply-adds or latency, whatever the evaluator weighs AP against.
    seconds: time the evaluation took.
    status: 'ok', 'reused' or 'failed'.
    reason: why it failed.

  Raises:
    ValueError: at construction, if the reward is not a finite number from 0 up or the status is none of those.
  """

  reward: float
  ap: float | None = None
  cost: float | None = None
  seconds: float = 0.0
  status: str = OK
  reason: str = ''

  def __post_init__(self):
    for key in ('reward', 'ap', 'cost', 'seconds'):  # numpy's and TensorFlow's scalars are not JSON.
      value = getattr(self, key)
      object.__setattr__(self, key, None if value is None and key in ('ap', 'cost') else float(value))
    if not math.isfinite(self.reward) or self.reward < 0:
      raise ValueError(f'reward {self.reward}: it must be finite and at least 0.')
    if self.status not in (OK, REUSED, FAILED):
      raise ValueError(f'status {self.status!r}: {OK}, {REUSED} or {FAILED} is needed.')
    if self.status == FAILED and (self.reward or not self.reason):
      raise ValueError('A failed measurement needs reward 0 and a reason.')

  @classmethod
  def failure(cls, reason: str, seconds: float = 0.0) -> 'Measurement':
    """Creates a measurement with reward 0 and the reason, for a trial that diverged, ran out of memory or failed."""
    return cls(reward=0.0, seconds=seconds, status=FAILED, reason=reason or 'no reason given')

  def to_json(self) -> str:
    """Writes one line of JSON."""
    return _line(self)

  @classmethod
  def from_json(cls, text: str) -> 'Measurement':
    """Reads `to_json`."""
    return cls(**json.loads(text))


Results = Sequence[tuple[Trial, Measurement]]


def _line(value: Trial | Measurement) -> str:
  fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
  return json.dumps(fields, separators=(',', ':'), allow_nan=False)

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

"""Defines the record of one measurement: a line of JSON that `benchmark.py` writes and `report_frontier.py` reads."""

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from absl import logging

from nasfpn_tf import safe_json, whole_file
from nasfpn_tf.artifacts import formats
from nasfpn_tf.config import checking

FORMAT = 1
PARTS = ('backbone', 'neck', 'head', 'post_processing')
_BEGIN = b'{"format": '  # Of every line.


class RecordError(ValueError):
  """Raised for an invalid record; the message names the file, the line and the key."""


@dataclasses.dataclass(frozen=True)
class Latency:
  """Milliseconds of one image.

  Attributes:
    median: the middle one; None where the tool that measured gives only the mean.
    p90: nine of ten are faster; None where the tool does not say.
    first: the first one after loading, which also packs weights and allocates.
    mean: on average, the first one left out.
    runs: how many were counted.
  """

  median: float | None
  p90: float | None
  first: float | None
  mean: float
  runs: int

  def __post_init__(self):
    for name in ('median', 'p90', 'first', 'mean'):
      value = getattr(self, name)
      if value is not None and not (math.isfinite(value) and value > 0):
        raise RecordError(f'latency_ms.{name} is {value!r}, not a positive number.')
    if self.runs < 1:
      raise RecordError(f'latency_ms.runs is {self.runs!r}: at least one is needed.')

  @property
  def typical(self) -> float:
    """The median, or the mean where there is none."""
    return self.mean if self.median is None else self.median


@dataclasses.dataclass(frozen=True)
class ModelRecord:
  """Accuracy and cost of a model in one format, and how they were measured.

  Attributes:
    name: what reports call it; records of one name are one model, measured more than once or on several devices.
    form: its format, one of `formats.names()`.
    family: models of one family have one color, e.g. the kind of their pyramid; '' if it has none.
    quantization: how weights and activations are stored, e.g. 'none', 'int8'; None where nothing says.
    exit_stage: of an anytime detector; None: it has no exits, or it is the last.
    digest: of the file's content, for forms that are one file; None else.
    input_size: (height, width) of the network's input.
    params: numbers in the weights. In files that fold batch norms into the kernels these are not counted.
    multiply_adds: of convolutions and matrix products, for one image, by part; 'network' where parts are not told
      apart.
    size_bytes: of the file, the directory, or the weights in a checkpoint.
    latency_ms: of one image, from the network's input to detections (or to what the form gives).
    parts_ms: the same by part, where the form allows; {} else.
    threads: that the runtime could use.
    device: what it ran on.
    runtime: what ran it, with its version.
    peak_memory_bytes: what loading and running took at most, without the runtime's own libraries.
    metrics: COCO's, 0 to 1; {} where it was not evaluated.
    evaluated_on: name of the records and how many images they have; '' where it was not evaluated.
    facts: whatever else is worth keeping, such as the training budget: text or numbers.
  """

  name: str
  form: str
  family: str
  quantization: str | None
  exit_stage: int | None
  digest: str | None
  input_size: tuple[int, int] | None
  params: int | None
  multiply_adds: Mapping[str, int]
  size_bytes: int
  latency_ms: Latency
  parts_ms: Mapping[str, float]
  threads: int
  device: str
  runtime: str
  peak_memory_bytes: int | None
  metrics: Mapping[str, float]
  evaluated_on: str
  facts: Mapping[str, Any]

  def __post_init__(self):
    if not self.name:
      raise RecordError('name is empty.')
    if self.form not in formats.names():
      raise RecordError(f'form is {self.form!r}, not one of {", ".join(sorted(formats.names()))}.')
    if unknown := set(self.parts_ms) - set(PARTS):
      raise RecordError(f'parts_ms has {sorted(unknown)}; the parts are {", ".join(PARTS)}.')
    if self.metrics and 'AP' not in self.metrics:
      raise RecordError('metrics are given, but AP is missing.')
    for key, value in self.metrics.items():
      if not -1 <= value <= 1:
        raise RecordError(f'metrics.{key} is {value!r}, not a number from 0 to 1.')

  @property
  def ap(self) -> float | None:
    """COCO's AP, 0 to 1; None where it was not evaluated."""
    return self.metrics.get('AP')

  @property
  def total_multiply_adds(self) -> int | None:
    """Of all parts; None where they were not counted."""
    return sum(self.multiply_adds.values()) if self.multiply_adds else None

  @property
  def setting(self) -> str:
    """What latencies have to share to be compared."""
    return f'{self.device}, {self.threads} thread{"s" if self.threads > 1 else ""}'

  def to_json(self) -> str:
    """Writes the record as one line of JSON."""
    return json.dumps({'format': FORMAT, **dataclasses.asdict(self)})

  @classmethod
  def from_dict(cls, data: Any) -> 'ModelRecord':
    """Creates a record from parsed JSON.

    Raises:
      RecordError: naming the key that is missing, unknown or of another type.
    """
    if not isinstance(data, Mapping):
      raise RecordError(f'a record is a JSON object, not {type(data).__name__}.')
    if data.get('format') != FORMAT:
      raise RecordError(f'format is {data.get("format")!r}; this version reads {FORMAT}.')
    values = {key: value for key, value in data.items() if key != 'format'}
    if isinstance(values.get('latency_ms'), Mapping):
      values['latency_ms'] = Latency(**_checked(Latency, values['latency_ms'], 'latency_ms.'))
    values = _checked(cls, values, '')
    if values['input_size'] is not None:
      values['input_size'] = tuple(values['input_size'])
    return cls(**values)


def _checked(cls: type, data: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  """Checks that the values of a dataclass are there, and each of the type that its field declares; returns them."""
  fields = {field.name: field.type for field in dataclasses.fields(cls)}
  if missing := [name for name in fields if name not in data]:
    raise RecordError(f'{prefix}{missing[0]} is missing.')
  if unknown := [name for name in data if name not in fields]:
    raise RecordError(f'{prefix}{unknown[0]} is unknown.')
  for name, kind in fields.items():
    if found := checking.mismatch(data[name], kind):
      raise RecordError(f'{prefix}{name} {found}')
  return dict(data)


def append(path: str, record: ModelRecord) -> None:
  """Adds a record to a file, whole or not at all also where several processes write; see `mend` for half a line."""
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  with whole_file.naming(path), open(path, 'a+b', buffering=0) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    if mended := _take_out_half(path, file):
      logging.warning(mended)
    end = file.seek(0, os.SEEK_END)
    try:
      line = (record.to_json() + '\n').encode()
      if file.write(line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
      file.truncate(end)
      raise


def mend(path: str) -> str | None:
  """Makes sure that records can be added to a file, before they are measured.

  The half of a record at its end, which a process left that was killed while it wrote, is taken out.

  Returns:
    A sentence about that; None where every line is whole, or there is no file.

  Raises:
    OSError: the file or its directory cannot be written.
    RecordError: it holds something else than records.
  """
  directory = os.path.dirname(os.path.abspath(path))
  os.makedirs(directory, exist_ok=True)
  if not os.path.lexists(path):
    if not os.access(directory, os.W_OK):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), directory)
    return None
  with whole_file.naming(path), open(path, 'a+b', buffering=0) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    mended = _take_out_half(path, file)
    content = file.seek(0, os.SEEK_END)
  if content:
    load([path])
  return mended


def _take_out_half(path: str, file: BinaryIO) -> str | None:
  """Makes the last line of a file whole: ends one that only lacks its line break, takes out the half of a record."""
  file.seek(0)
  lines = file.read().splitlines(keepends=True)
  if not lines or lines[-1].endswith(b'\n'):
    return None
  last = lines[-1]
  with contextlib.suppress(ValueError):
    json.loads(last)
    file.write(b'\n')
    return None
  begin = _BEGIN[: len(last)]
  if not last.startswith(begin):
    raise RecordError(f'{path}:{len(lines)}: not a record; name another file, or take the line out.')
  file.truncate(file.tell() - len(last))
  return f'{path}:{len(lines)}: the half of a record, left by a run that was killed; it was taken out.'


def load(paths: Iterable[str]) -> list[ModelRecord]:
  """Loads all records of files, one per line; a directory stands for its .jsonl files.

  Raises:
    FileNotFoundError: a path does not exist, or a directory has no such file.
    RecordError: naming the file, the line and what is wrong.
  """
  records = []
  for path in paths:
    files = [path]
    if os.path.isdir(path):
      files = sorted(os.path.join(path, name) for name in os.listdir(path) if name.endswith('.jsonl'))
    if not files or not all(map(os.path.isfile, files)):
      raise FileNotFoundError(f'{path}: neither a file of records of benchmark.py (.jsonl) nor a directory with some.')
    for file in files:
      records += _load_file(file)
  return records


def _load_file(path: str) -> list[ModelRecord]:
  records = []
  try:
    with open(path, encoding='utf-8') as file:
      lines = file.read().splitlines()
  except UnicodeDecodeError as error:
    raise RecordError(f'{path}: not a file of records, which are lines of JSON.') from error
  for number, line in enumerate(lines, start=1):
    if not line.strip():
      continue
    try:
      records.append(ModelRecord.from_dict(safe_json.loads(line)))
    except RecordError as error:
      raise RecordError(f'{path}:{number}: {error}') from error
    except ValueError as error:
      raise RecordError(f'{path}:{number}: {error}: every line must be one record.') from error
  if not records:
    raise RecordError(f'{path}: has no record.')
  return records


def parse_facts(texts: Iterable[str]) -> dict[str, Any]:
  """Parses facts from 'key=value' texts; numeric values become numbers.

  Raises:
    RecordError: a text is no such thing, or a key is there twice.
  """
  facts = {}
  for text in texts:
    key, equals, value = text.partition('=')
    if not (key and equals) or key in facts:
      raise RecordError(f'fact {text!r}: key=value is needed, each key once.')
    try:
      facts[key] = json.loads(value)
    except ValueError:
      facts[key] = value
  return facts


def describe(record: ModelRecord) -> str:
  """Describes a record in a few lines."""
  latency = record.latency_ms
  figures = [f'{name} {value:.2f}' for name in ('median', 'p90', 'first') if (value := getattr(latency, name))]
  lines = [
    f'{record.name}: {record.runtime}, {record.setting}',
    f'  {" ms, ".join(figures or [f"mean {latency.mean:.2f}"])} ms an image, {record.size_bytes / 1e6:.2f} MB',
  ]
  if record.parts_ms:
    lines.append('  ' + ', '.join(f'{part} {value:.2f} ms' for part, value in record.parts_ms.items()))
  if record.total_multiply_adds is not None and record.params is not None:
    lines.append(f'  {record.params / 1e6:.2f}M parameters, {record.total_multiply_adds / 1e9:.3f}G multiply-adds')
  if record.peak_memory_bytes is not None:
    lines.append(f'  {record.peak_memory_bytes / 1e6:.1f} MB of memory')
  if record.metrics:
    lines.append(f'  AP {record.ap:.4f} on {record.evaluated_on}')
  return '\n'.join(lines)

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

"""Records of measurements: there and back, and what is said of broken ones."""

import json
import resource

import pytest

from nasfpn_tf import failure
from nasfpn_tf.frontier import record
from tests.frontier.samples import sample


def test_there_and_back(tmp_path):
  path = str(tmp_path / 'new' / 'records.jsonl')
  first = sample()
  phone = sample(
    name='phone',
    latency_ms=record.Latency(median=None, p90=None, first=None, mean=7.5, runs=50),
    parts_ms={},
    multiply_adds={},
    metrics={},
    input_size=None,
    peak_memory_bytes=None,
    params=None,
  )
  record.append(path, first)
  record.append(path, phone)
  assert record.load([path]) == [first, phone]
  assert record.load([str(tmp_path / 'new')]) == [first, phone]
  assert first.total_multiply_adds == 400_000_000 and first.ap == 0.5 and first.latency_ms.typical == 10.0
  assert phone.total_multiply_adds is None and phone.ap is None and phone.latency_ms.typical == 7.5
  assert first.setting == 'processor, 1 thread'


def test_a_full_disk_leaves_no_half_of_a_record(tmp_path):
  path = tmp_path / 'records.jsonl'
  record.append(str(path), sample())
  before = path.read_bytes()
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
  try:
    with pytest.raises(OSError, match=r'records\.jsonl') as error:
      record.append(str(path), sample())
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert path.read_bytes() == before and 'Make room' in failure.message(error.value)


@pytest.mark.parametrize('length', [1, 12, 40, 300])
def test_half_a_record_of_a_killed_run_is_taken_out_and_said(length, tmp_path, caplog):
  path = tmp_path / 'records.jsonl'
  whole = sample().to_json()
  path.write_text(f'{whole}\n{whole[:length]}')
  assert record.mend(str(path)) == f'{path}:2: the half of a record, left by a run that was killed; it was taken out.'
  assert path.read_text() == f'{whole}\n'
  path.write_text(whole[:length])
  record.append(str(path), sample())
  assert record.load([str(path)]) == [sample()] and f'{path}:1: the half of a record' in caplog.text


def test_a_record_that_only_lacks_its_line_break_is_kept(tmp_path):
  path = tmp_path / 'records.jsonl'
  path.write_text(sample().to_json())
  assert record.mend(str(path)) is None
  record.append(str(path), sample())
  assert record.load([str(path)]) == [sample()] * 2


def test_what_is_no_file_of_records_is_found_before_the_measurement(tmp_path):
  path = tmp_path / 'records.jsonl'
  assert record.mend(str(path)) is None and not path.exists()
  for text, message in (('my notes', 'not a record'), ('a: b\n', 'not JSON'), ('{"a": 1}', 'format is None')):
    path.write_text(text)
    with pytest.raises(record.RecordError, match=f':1: {message}'):
      record.mend(str(path))
    assert path.read_text().startswith(text)
  path.unlink()
  path.mkdir()
  with pytest.raises(OSError, match=r'records\.jsonl'):
    record.mend(str(path))


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'format': 2}, 'format is 2; this version reads 1'),
    ({'name': ''}, 'name is empty'),
    ({'name': 3}, 'name must be a string, not 3'),
    ({'form': 'caffe'}, "form is 'caffe', not one of checkpoint"),
    ({'threads': True}, 'threads must be an integer, not True'),
    ({'threads': '1'}, "threads must be an integer, not '1'"),
    ({'colour': 'red'}, 'colour is unknown'),
    (
      {'multiply_adds': {'head': 'many'}},
      "multiply_adds must be a mapping, each value an integer, not {'head': 'many'}",
    ),
    ({'parts_ms': {'tail': 1.0}}, r"parts_ms has \['tail'\]; the parts are backbone"),
    ({'metrics': {'AP50': 0.5}}, 'but AP is missing'),
    ({'metrics': {'AP': 61.2}}, 'metrics.AP is 61.2, not a number from 0 to 1'),
    ({'latency_ms': {'median': 1.0}}, 'latency_ms.p90 is missing'),
    ({'latency_ms': 3.5}, 'latency_ms must be a section with keys of Latency, not 3.5'),
    ({'input_size': [320]}, r'input_size must be a list of 2: an integer, an integer or null, not \[320\]'),
  ],
  ids=lambda value: '-'.join(value) if isinstance(value, dict) else '',
)
def test_what_is_wrong_is_named(changes, message, tmp_path):
  path = tmp_path / 'records.jsonl'
  path.write_text(json.dumps({**json.loads(sample().to_json()), **changes}))
  with pytest.raises(record.RecordError, match=rf'records.jsonl:1: .*{message}'):
    record.load([str(path)])


def test_no_sensible_latency():
  for wrong in (0.0, -1.0, float('nan')):
    with pytest.raises(record.RecordError, match=r'latency_ms\.median'):
      record.Latency(median=wrong, p90=1.0, first=1.0, mean=1.0, runs=1)
  with pytest.raises(record.RecordError, match='runs is 0'):
    record.Latency(median=1.0, p90=1.0, first=1.0, mean=1.0, runs=0)


def test_files_that_are_none(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'absent\.jsonl: neither a file of records'):
    record.load([str(tmp_path / 'absent.jsonl')])
  with pytest.raises(FileNotFoundError, match='neither a file of records'):
    record.load([str(tmp_path)])
  (tmp_path / 'empty.jsonl').touch()
  (tmp_path / 'binary.jsonl').write_bytes(b'\xff\xfe\x00')
  (tmp_path / 'list.jsonl').write_text('[1]')
  for name, message in (('empty', 'has no record'), ('binary', 'not a file of records'), ('list', 'not list')):
    with pytest.raises(record.RecordError, match=f'{name}.jsonl.*{message}'):
      record.load([str(tmp_path / f'{name}.jsonl')])

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

"""Runs of one search from its configuration, stopped at each of the places where results are handed on."""

import collections
import json

import pytest

from nasfpn_tf.search import config, run
from nasfpn_tf.search.storage.outputs import Outputs
from nasfpn_tf.search.storage.store import Store

CONFIG = config.SearchConfig(
  searcher={'name': 'random'}, evaluator={'name': 'tests.search.samples:instant'}, max_trials=4, report_seconds=0.0
)


class Killed(BaseException):
  """The end of the process."""


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize(('owner', 'method'), [(Store, 'finish'), (Store, 'observed'), (Outputs, 'add')])
def test_each_trial_is_listed_once(owner, method, when, tmp_path, monkeypatch):
  """Whatever has been done with a trial when a run ends, the files of the next list it once."""
  calls, original = collections.Counter(), getattr(owner, method)

  def killed(self, *args, **options):
    calls['all'] += 1
    if calls['all'] != 3:
      return original(self, *args, **options)
    if when == 'after':
      original(self, *args, **options)
    raise Killed

  with monkeypatch.context() as patched:
    patched.setattr(owner, method, killed)
    # Nothing is tidied up, as nothing would be.
    patched.setattr('nasfpn_tf.search.loop.Search._stop', lambda self, grace_seconds: self._executor.close(0.0))
    with pytest.raises(Killed):
      run.run(CONFIG, str(tmp_path))
  assert run.run(CONFIG, str(tmp_path))
  listed = [json.loads(line)['id'] for line in (tmp_path / 'trials.jsonl').read_text().splitlines()]
  assert sorted(listed) == [0, 1, 2, 3]
  assert '<b>4</b><span>of 4 trials done' in (tmp_path / 'report.html').read_text()

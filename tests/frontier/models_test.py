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

"""Records put together to models: newer ones replace older ones, other devices stand beside them."""

import pytest

from nasfpn_tf.frontier import models, record
from tests.frontier.samples import sample


def test_newer_records_replace_older_ones_and_phones_stand_beside():
  old, new = sample(ms=20.0), sample(ms=10.0)
  phone = sample(ms=30.0, device='phone', threads=4, metrics={}, evaluated_on='')
  other = sample(name='other', ms=5.0, ap=0.4)
  found, rest = models.gather([old, other, phone, new])
  assert found.name == 'sample' and found.ap == 0.5 and rest.ap == 0.4
  assert found.cost('latency_ms', 'processor, 1 thread') == 10.0
  assert found.cost('latency_ms', 'phone, 4 threads') == 30.0
  assert rest.cost('latency_ms', 'phone, 4 threads') is None
  assert models.settings([found, rest]) == ['processor, 1 thread', 'phone, 4 threads']
  assert (found.cost('multiply_adds_g', ''), found.cost('size_mb', ''), found.cost('params_m', '')) == (0.4, 8.0, 2.0)


def test_nothing_is_kept_of_a_file_that_has_changed():
  phone = sample(device='phone', digest='old', ap=0.9)
  (found,) = models.gather([phone, sample(digest='new', metrics={}, evaluated_on='')])
  assert found.ap is None and list(found.timed) == ['processor, 1 thread']


def test_two_forms_need_two_names():
  with pytest.raises(record.RecordError, match="'sample' is the name of a checkpoint and tflite"):
    models.gather([sample(), sample(form='checkpoint')])


def test_fronts_leave_out_what_is_not_known():
  rows = [
    sample(name='good', ap=0.6, ms=9.0),
    sample(name='bad', ap=0.5, ms=9.5),
    sample(name='unknown', metrics={}, evaluated_on='', ms=1.0),
    sample(name='elsewhere', ap=0.7, device='phone'),
    sample(name='uncounted', ap=0.8, ms=20.0, multiply_adds={}),
  ]
  found = models.gather(rows)
  latency = models.front(found, 'latency_ms', 'processor, 1 thread')
  assert latency.names == ['good', 'uncounted'] and latency.beaten_by == {'bad': 'good'}
  work = models.front(found, 'multiply_adds_g', 'processor, 1 thread')
  assert work.names == ['elsewhere'] and work.beaten_by == {'good': 'elsewhere', 'bad': 'elsewhere'}


def test_what_all_share():
  rows = [sample(name=name, facts={'train_steps': 600, 'seed': seed}) for name, seed in (('a', 0), ('b', 1))]
  assert models.common_facts(models.gather(rows)) == {'train_steps': 600}
  assert models.common_facts([]) == {}

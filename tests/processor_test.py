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

"""What the processor is called and can do."""

import os

import pytest

from nasfpn_tf import processor


@pytest.mark.parametrize(
  'flags, expected', [('avx2 avx512f', False), ('avx512f avx512_bf16', True), ('amx_bf16', True)]
)
def test_bfloat16_where_the_cpu_has_instructions_for_it(tmp_path, flags, expected):
  (tmp_path / 'cpuinfo').write_text(f'model name : One\nflags : fpu {flags} sse\n')
  assert processor.computes_bfloat16(tmp_path / 'cpuinfo') is expected
  assert not processor.computes_bfloat16(tmp_path / 'absent')


def test_cores_are_those_that_this_process_may_use(monkeypatch):
  monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {3, 5}, raising=False)
  assert processor.num_cores() == 2
  monkeypatch.delattr(os, 'sched_getaffinity')
  monkeypatch.setattr(os, 'cpu_count', lambda: None)
  assert processor.num_cores() == 1


def test_the_name_is_the_kernels_or_pythons(tmp_path):
  (tmp_path / 'cpuinfo').write_text('processor : 0\nmodel name : One of 2: fast\nmodel name : Two\n')
  assert processor.name(tmp_path / 'cpuinfo') == 'One of 2: fast'
  assert processor.name(tmp_path / 'absent')

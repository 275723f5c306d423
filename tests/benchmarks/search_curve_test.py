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

"""The curves of searches: samples in order, an image written, a directory without results named."""

import json

import pytest

import nasfpn_tf  # noqa: F401  (before TensorFlow: it sets TF_USE_LEGACY_KERAS)
from benchmarks import search_curve


def _search(directory, rewards):
  """A search directory with trials in the order in which they ended."""
  directory.mkdir()
  lines = [json.dumps({'id': i, 'measurement': {'reward': rewards[i]}}) for i in reversed(range(len(rewards)))]
  (directory / 'trials.jsonl').write_text('\n'.join(lines) + '\n', encoding='utf-8')
  return str(directory)


def test_samples_are_in_the_order_of_their_proposal(tmp_path):
  assert search_curve.rewards_of(_search(tmp_path / 'search', [0.1, 0.3, 0.2])) == [0.1, 0.3, 0.2]


@pytest.mark.parametrize('suffix', ['svg', 'png'])
def test_image(tmp_path, suffix):
  path = tmp_path / f'curve.{suffix}'
  search_curve.draw({'PPO': [0.1, 0.3, 0.2], 'random': [0.2, 0.1]}, 2, str(path))
  data = path.read_bytes()
  if suffix == 'svg':
    assert b'PPO: mean of 2' in data
    assert b'random: best' in data
  else:
    assert data.startswith(b'\x89PNG')

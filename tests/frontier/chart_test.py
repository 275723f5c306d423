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


"""Labels of the frontier's image cover each other nowhere."""

import itertools

import pytest

from nasfpn_tf.config import loading
from nasfpn_tf.frontier import documents, models, published, record, table
from tests import testing
from tests.frontier.samples import sample


def _measured():
  return record.load([str(testing.repo_root() / 'docs' / 'frontier_bccd' / 'records.jsonl')])


def _dense():
  """Forty models on one frontier within a few milliseconds, beside as many that they dominate."""
  front = [
    sample(name=f'a_model_with_a_long_name_{i}', ap=0.4 + 0.002 * i, ms=10 + 0.05 * i, size_bytes=8_000_000 + 1000 * i)
    for i in range(40)
  ]
  return [*front, *(sample(name=f'dominated_{i}', ap=0.39, ms=10 + 0.05 * i) for i in range(40))]


@pytest.mark.parametrize('records', [_measured, _dense])
@pytest.mark.parametrize('which', ['mobile', 'none'])
def test_no_label_of_the_image_overlaps_another(records, which):
  gathered = models.gather(records())
  setting = models.settings(gathered)[0]
  figure = documents.draw(gathered, setting, published.load(which, loading.config_names())).figure
  figure.draw_without_rendering()
  panels = [axes for axes in figure.axes if axes.texts]
  assert len(panels) == 3
  for axes in panels:
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    for (name, box), (other_name, other) in itertools.combinations(boxes.items(), 2):
      assert not box.overlaps(other), f'{name} on {other_name}'
    window = axes.get_window_extent()
    for name, box in boxes.items():
      assert window.contains(box.x0, box.y0) and window.contains(box.x1, box.y1), f'{name} leaves the frame'


def test_every_measured_model_on_a_frontier_has_its_label():
  gathered = models.gather(_measured())
  setting = models.settings(gathered)[0]
  figure = documents.draw(gathered, setting, published.load('mobile', loading.config_names())).figure
  labelled = [axes for axes in figure.axes if axes.texts]
  for axes, axis in zip(labelled, table.SHOWN, strict=True):
    assert {text.get_text() for text in axes.texts} == set(models.front(gathered, axis, setting).names)

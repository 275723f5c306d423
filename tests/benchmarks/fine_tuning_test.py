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

"""The images, the runs and the table of the comparison of starts; nothing is trained."""

import pytest

from benchmarks import fine_tuning

_ANNOTATIONS = {
  'images': [{'id': number} for number in range(1, 7)],
  'annotations': [
    {'image_id': image, 'category_id': digit + 1}
    for image, shown in enumerate([(0, 4), (5,), (4, 5), (9, 9, 5), (7,)], start=1)
    for digit in shown
  ],
  'categories': [{'id': digit + 1, 'name': str(digit)} for digit in range(10)],
}


def test_images_of_a_group_show_no_other_digit():
  target = fine_tuning.of_group(_ANNOTATIONS, fine_tuning.GROUPS['target'])
  assert [image['id'] for image in target['images']] == [2, 4, 5]
  assert [box['category_id'] for box in target['annotations']] == [6, 10, 10, 6, 8]
  assert [category['name'] for category in target['categories']] == ['5', '6', '7', '8', '9']
  source = fine_tuning.of_group(_ANNOTATIONS, fine_tuning.GROUPS[fine_tuning.SOURCE])
  assert [image['id'] for image in source['images']] == [1]


def test_more_images_contain_the_fewer_and_a_seed_draws_others():
  content = {'images': [{'id': number} for number in range(50)], 'annotations': [{'image_id': 3}], 'categories': []}
  few, more, others = (
    {image['id'] for image in fine_tuning.first_images(content, count, seed)['images']}
    for count, seed in ((10, 0), (20, 0), (10, 1))
  )
  assert len(few) == 10
  assert few < more
  assert few != others
  assert fine_tuning.first_images(content, 50, 0)['annotations'] == [{'image_id': 3}]
  with pytest.raises(ValueError, match='51 images of digits 5 to 9 are wanted, there are 50'):
    fine_tuning.first_images(content, 51, 0)


def test_every_arm_has_the_same_steps_and_one_source_is_first():
  runs = fine_tuning.plan([50, 400], 200, [0, 1], 1000)
  assert runs[0] == fine_tuning.Run(fine_tuning.SOURCE, 0, 1000, 0)
  assert len(set(runs)) == len({run.name for run in runs}) == 1 + 2 * 2 * len(fine_tuning.ARMS)
  assert {run.steps for run in runs[1:]} == {200}
  assert [run.seed for run in runs[1:]] == [0] * 6 + [1] * 6


def test_lines_are_read_again_and_make_a_table(tmp_path):
  path = tmp_path / 'lines.jsonl'
  assert fine_tuning.read(str(path)) == {}
  path.write_text(
    '{"arm": "scratch", "images": 50, "steps": 200, "seed": 1, "AP": 0.03, "AP50": 0.1}\n'
    '{"arm": "scratch", "images": 50, "steps": 200, "seed": 0, "AP": 0.01, "AP50": 0.2}\n'
    '{"arm": "source", "images": 0, "steps": 9, "seed": 0, "AP": 0.4, "AP50": 0.6}\n'
  )
  lines = fine_tuning.read(str(path))
  assert fine_tuning.Run('source', 0, 9, 0) in lines
  assert fine_tuning.table(list(lines.values())).splitlines()[2:] == [
    '| 50 | 200 | scratch | 2.0 | 1.4 | 1.0, 3.0 | 15.0 |'
  ]
  path.write_text('{"arm": "scratch"}\n')
  with pytest.raises(ValueError, match=r'lines\.jsonl, line 1 is not of this benchmark'):
    fine_tuning.read(str(path))

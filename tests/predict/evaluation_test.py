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

"""Tests of AP as a condition of an export."""

import glob
import re
import shutil

import pytest

from nasfpn_tf.predict import evaluation, load_predictor


@pytest.fixture
def compare(monkeypatch):
  """`compare_ap` with the AP of the file and of the model given."""

  def compare(of_file, of_model, max_drop):
    monkeypatch.setattr(evaluation, 'load_predictor', lambda path: of_file)
    monkeypatch.setattr(evaluation, 'evaluate_records', lambda predictor, records: {'AP': predictor})
    return evaluation.compare_ap(of_model, 'records/val', max_drop, 'x.tflite')

  return compare


@pytest.mark.parametrize('of_file', [0.5, 0.49, 0.7])
def test_within_the_tolerance(compare, of_file):
  assert compare(of_file, 0.5, 0.011) == {'AP': of_file, 'AP_of_model': 0.5}


@pytest.mark.parametrize('of_file', [0.48, float('nan')], ids=['below', 'nan'])
def test_too_far_below(compare, of_file):
  with pytest.raises(ValueError, match=r'the model 0\.5000 on records/val; the maximum drop is 0\.011'):
    compare(of_file, 0.5, 0.011)


def test_records_without_annotations_are_evaluated_on_their_own_boxes(forms, tmp_path, capfd):
  predictor = load_predictor(forms.tflite('float'))
  expected = evaluation.evaluate_records(predictor, forms.records)
  for path in glob.glob(f'{forms.records}-*'):
    shutil.copy(path, tmp_path)
  number = re.search(r'evaluate: images (\d+)/\1,', capfd.readouterr().err)[1]  # That of the images, at the end.
  assert evaluation.evaluate_records(predictor, str(tmp_path / 'set')) == expected
  assert f'evaluate: images {number}/{number}' in capfd.readouterr().err
  shutil.copy(f'{forms.records}.manifest.json', tmp_path)
  assert evaluation.evaluate_records(predictor, str(tmp_path / 'set')) == expected

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

import socket

import pytest
import tf_keras

from nasfpn_tf.fit.plan import start


def test_a_file_or_a_name_is_taken_as_given(tmp_path):
  file = tmp_path / 'w.h5'
  file.touch()
  assert start.find_weights(str(file)) == str(file)
  assert start.find_weights('imagenet') == 'imagenet' and start.find_weights('none') is None
  with pytest.raises(ValueError, match=r'--backbone_weights=blod_cells: there is no such file.*blood_cells'):
    start.find_weights('blod_cells')


@pytest.mark.parametrize(('can_be_had', 'found'), [(True, 'imagenet'), (False, 'blood_cells')])
def test_imagenet_is_taken_where_it_can_be_had(can_be_had, found, monkeypatch):
  def fetch(name, url, cache_subdir):
    assert url.endswith(name) and cache_subdir == 'models' and socket.getdefaulttimeout() == 10.0
    if not can_be_had:
      raise Exception(f'URL fetch failure on {url}')

  monkeypatch.setattr(tf_keras.utils, 'get_file', fetch)
  before = socket.getdefaulttimeout()
  assert start.find_weights(None) == found
  assert socket.getdefaulttimeout() == before


def test_the_settings_go_with_the_weights():
  assert start.start_from('blood_cells').is_shipped and not start.start_from('imagenet').is_shipped
  assert start.start_from(None).batch > start.start_from('imagenet').batch

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

"""Modules of the search by the names that they had before its rooms."""

import importlib

import pytest

from nasfpn_tf import search


@pytest.mark.parametrize('name', search._FORMER)
def test_a_former_name_is_the_module_of_today(name):
  now = importlib.import_module(f'nasfpn_tf.search.{search._FORMER[name]}')
  assert importlib.import_module(f'nasfpn_tf.search.{name}') is now
  assert now.__name__ == now.__spec__.name == f'nasfpn_tf.search.{search._FORMER[name]}'


def test_a_name_that_never_was():
  with pytest.raises(ModuleNotFoundError, match=r"No module named 'nasfpn_tf\.search\.pyramid'"):
    importlib.import_module('nasfpn_tf.search.pyramid')

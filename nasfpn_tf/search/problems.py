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

"""What ends a search with one line instead of a stack trace."""


class SearchError(ValueError):
  """A search that cannot go on as it is told to; the message names the file or the key and says what to do.

  What has been found by then is in the search directory. A trial that fails is no such error: it is a `Measurement`.
  """


class StorageFull(SearchError):
  """No room to write what has to be kept; everything written before is whole, and the same command goes on from it."""

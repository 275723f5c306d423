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

"""Writes the parts that figures of pyramids and of backbones share: the SVG document, text, colors."""

import html
from collections.abc import Iterable

INK, LINE, GREY = '#22303c', '#5b6b79', '#7a8794'
# Fill and rim of what goes in, what lies between, and what comes out.
INPUT, INNER, OUTPUT = ('#fdeebf', '#d8a72c'), ('#eef1f4', '#8a98a5'), ('#cfe3f8', '#3f7fbf')


def document(title: str, width: float, height: float, parts: Iterable[str], definitions: Iterable[str] = ()) -> str:
  """Writes an SVG file with a white ground.

  Args:
    title: what it shows, for screen readers; escaped here.
    width: in pixels.
    height: in pixels.
    parts: elements, from the back to the front.
    definitions: elements that others refer to.
  """
  opening = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    ' font-family="Helvetica, Arial, sans-serif" text-anchor="middle">'
  )
  ground = f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>'
  return '\n'.join([opening, f'<title>{html.escape(title)}</title>', *definitions, ground, *parts, '</svg>']) + '\n'


def text(x: float, y: float, words: str, size: int, color: str = INK, anchor: str = '', weight: str = '') -> str:
  """Writes a line of text.

  Args:
    x: its middle, or where `anchor` says.
    y: its baseline.
    words: the text; escaped here.
    size: of the font, in pixels.
    color: of the text.
    anchor: 'start' or 'end' of the text is at x instead.
    weight: of the font.
  """
  extra = (f' text-anchor="{anchor}"' if anchor else '') + (f' font-weight="{weight}"' if weight else '')
  return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}"{extra}>{html.escape(words)}</text>'

"""Changes the pure modules in small ways, one at a time, and counts the changes that the tests notice.

`make mutation`. The changes are mutmut's and some more (`operators`). mutmut itself leaves out all that has a
decorator, and so each frozen dataclass and each property, and changes no tables. Here each mutant is a fork of one
process that has imported the code and collected the tests (`session`): most take some milliseconds.
"""

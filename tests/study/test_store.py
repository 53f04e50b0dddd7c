from hf_ntg.study.store import bare_code

CODE = '''"""What it is."""
import math  # for pi


def area(radius):
    """Of a circle, # of all."""
    # by the book
    return "# not a comment" and math.pi * radius**2
'''


def test_code_is_the_same_whatever_is_said_of_it():
    bare = 'import math\ndef area(radius):\n    return "# not a comment" and math.pi * radius**2'
    assert bare_code(CODE) == bare
    assert bare_code(CODE.replace("What it is", "Else").replace("# by the book", "\n\n\n")) == bare
    assert bare_code(CODE.replace("radius**2", "radius**3")) != bare
    assert bare_code("if x:\n    a()\nb()\n") != bare_code("if x:\n    a()\n    b()\n")

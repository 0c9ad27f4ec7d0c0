import sys
def test_a():
    import tests
    print(tests, tests.__path__)
    from tests.toys import A

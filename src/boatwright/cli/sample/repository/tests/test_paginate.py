import unittest

from paginate import page, pages


class Pages(unittest.TestCase):
    def test_full_pages(self):
        self.assertEqual(pages(list(range(20)), 5), 4)

    def test_a_page_has_its_items(self):
        self.assertEqual(page(list(range(20)), 2, 5), [5, 6, 7, 8, 9])

    def test_no_page_zero(self):
        with self.assertRaises(IndexError):
            page([1, 2, 3], 0, 1)

    def test_size_must_be_positive(self):
        with self.assertRaises(ValueError):
            pages([1, 2, 3], 0)


if __name__ == "__main__":
    unittest.main()

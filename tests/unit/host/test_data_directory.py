"""The data directory: one at a time, and a secret that stays."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.data_directory import DataDirectory, DataDirectoryError


class DataDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "data"

    def locked(self) -> DataDirectory:
        directory = DataDirectory(self.path)
        directory.lock()
        self.addCleanup(directory.release)
        return directory

    def test_made(self) -> None:
        """The directory is made when there is none, and only its owner may look into it."""
        self.locked()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)

    def test_secret(self) -> None:
        """The secret is made once, is long, and nobody else may read it."""
        directory = self.locked()
        secret = directory.secret()
        self.assertEqual(len(secret), 32)
        self.assertEqual(DataDirectory(self.path).secret(), secret)
        self.assertEqual((self.path / "secret").stat().st_mode & 0o777, 0o600)
        self.assertFalse((self.path / "secret.new").exists())

    def test_node(self) -> None:
        """A node is told from others of its name, and remembers the number of its last life."""
        directory = self.locked()
        instance, last = directory.instance()
        self.assertEqual((len(instance), last), (32, 0))
        directory.note_life(instance, 7)
        self.assertEqual(DataDirectory(self.path).instance(), (instance, 7))

    def test_no_node(self) -> None:
        """What does not say which node it is is not taken for another one."""
        directory = self.locked()
        for content in (b"", b"abc", b"abc x", b"\xff 1"):
            (self.path / "node").write_bytes(content)
            error = self.assertRaises(DataDirectoryError, directory.instance)
            self.assertIn("does not say which node this is; remove it", str(error))

    def test_links_are_not_followed(self) -> None:
        """What somebody put in the place of a file that is to be made is not written to."""
        self.path.mkdir(mode=0o700)
        victim = self.path.parent / "victim"
        victim.write_text("mine")
        (self.path / "secret.new").symlink_to(victim)
        directory = self.locked()
        self.assertEqual(len(directory.secret()), 32)
        self.assertEqual(victim.read_text(), "mine")
        self.assertFalse((self.path / "secret").is_symlink())

    def test_lock_is_no_link(self) -> None:
        """A link in the place of the lock is refused."""
        self.path.mkdir(mode=0o700)
        (self.path / "lock").symlink_to(self.path.parent / "victim")
        self.assertRaises(DataDirectoryError, DataDirectory(self.path).lock)
        self.assertFalse((self.path.parent / "victim").exists())

    def test_others_may_write(self) -> None:
        """What others may write is refused, with the command that mends it."""
        self.path.mkdir()
        self.path.chmod(0o777)
        for use in (DataDirectory(self.path).lock, DataDirectory(self.path).is_free):
            error = self.assertRaises(DataDirectoryError, use)
            self.assertIn(f"chmod o-w {self.path}", str(error))
        self.path.chmod(0o700)
        directory = self.locked()
        directory.secret()
        (self.path / "secret").chmod(0o606)
        error = self.assertRaises(DataDirectoryError, directory.secret)
        self.assertIn(f"chmod o-w {self.path / 'secret'}", str(error))

    def test_broken_secret(self) -> None:
        """A secret that was cut off is not taken for one."""
        directory = self.locked()
        (self.path / "secret").write_bytes(b"short")
        error = self.assertRaises(DataDirectoryError, directory.secret)
        self.assertIn("5 bytes", str(error))

    def test_free(self) -> None:
        """Whether it is free is seen without making anything."""
        self.assertTrue(DataDirectory(self.path).is_free())
        self.assertFalse(self.path.exists())
        DataDirectory(self.path).path.mkdir()
        self.assertTrue(DataDirectory(self.path).is_free())
        self.assertEqual(list(self.path.iterdir()), [])

    def test_free_nowhere(self) -> None:
        """Below what is no directory, none could be made."""
        self.path.write_text("in the way")
        for path in (self.path, self.path / "data"):
            error = self.assertRaises(DataDirectoryError, DataDirectory(path).is_free)
            self.assertIn("Not a directory", str(error))

    def test_no_directory(self) -> None:
        """What is no directory is refused in a sentence."""
        self.path.write_text("in the way")
        error = self.assertRaises(DataDirectoryError, DataDirectory(self.path).lock)
        self.assertIn(str(self.path), str(error))

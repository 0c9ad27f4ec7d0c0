from diffad.data.layouts.find import list_entries
from tests.helpers.trees import mslub, nifti


def test_lists_patients_with_their_consensus(tmp_path):
    entry = list_entries(mslub(tmp_path)).entries[0]
    assert (entry.name, entry.subject) == ("patient01", "patient01")
    assert set(entry.images) == {"t1", "t2", "flair"}
    assert entry.lesion == tmp_path / "patient01" / "patient01_consensus_gt.nii.gz"


def test_missing_consensus_and_sequence_are_told(tmp_path):
    mslub(tmp_path)
    (tmp_path / "patient02" / "patient02_consensus_gt.nii.gz").unlink()
    (tmp_path / "patient02" / "patient02_FLAIR.nii.gz").unlink()
    sequence, mask = list_entries(tmp_path).problems
    assert "expected flair of patient02, found t1, t2" in sequence
    assert "expected a lesion mask of patient02" in mask


def test_brain_mask_is_taken_where_there_is_one(tmp_path):
    path = nifti(mslub(tmp_path) / "patient01" / "patient01_brainmask.nii.gz", labels=(1,))
    assert [e.brain for e in list_entries(tmp_path).entries] == [path, None]

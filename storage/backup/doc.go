// Package backup writes the record and the weights of all runs to a folder, and reads them back into an empty database and an empty store:
//
//	dir/
//	  blobs/              content, as [blob.Dir] keeps it; shared by all backups of the folder, so that a further one copies what is new
//	  20261122T130501Z/   one backup
//	    NAME.copy.gz      a table, in the binary form of PostgreSQL's COPY
//	    files/            what a data directory keeps of its runs for people
//	    backup.json       what there is, with digests; written last: a folder without it is no backup
//
// It is taken at one instant, beside whatever is being trained. What Temporal knows is no part of it: a run goes on from its record.
package backup

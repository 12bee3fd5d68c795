package nomad

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
)

// logFile is one of the files that a task's output is kept in: <task>.<stream>.<number>. The oldest are removed as new ones
// are begun (the job's logs block says how many there are, and of what size).
type logFile struct {
	stream   string // "<task>.<stream>"
	number   int64
	size     int64
	modified time.Time
}

// logFiles lists the files with an allocation's output.
func (c *Client) logFiles(ctx context.Context, o logs.Output) ([]logFile, error) {
	q, done := c.query(ctx, o.Namespace)
	defer done()
	var infos []*api.AllocFileInfo
	if _, err := c.api.Raw().Query("/v1/client/fs/ls/"+url.PathEscape(o.Alloc)+"?path=alloc%2Flogs", &infos, q); err != nil {
		return nil, translate("listing the files of a dyno's output", err)
	}
	var files []logFile
	for _, info := range jobs.Present(infos) {
		if stream, number, ok := logFileName(info.Name); ok && !info.IsDir {
			files = append(files, logFile{stream: stream, number: number, size: info.Size, modified: info.ModTime})
		}
	}
	slices.SortFunc(files, func(a, b logFile) int { return cmp.Compare(a.number, b.number) })
	return files, nil
}

// logFileName takes a file's name, or a path that ends with it, apart.
func logFileName(path string) (stream string, number int64, ok bool) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", 0, false
	}
	number, err := strconv.ParseInt(name[dot+1:], 10, 64)
	return name[:dot], number, err == nil && number >= 0
}

// filesOf gives the files of one stream, oldest first.
func filesOf(all []logFile, task, kind string) []logFile {
	return slices.DeleteFunc(slices.Clone(all), func(f logFile) bool { return f.stream != task+"."+kind })
}

// backFrom gives a place so many bytes before the end of a stream, and whether that may be inside a line.
func backFrom(files []logFile, bytes int64) (file, offset int64, inside bool) {
	for _, f := range slices.Backward(files) {
		if file = f.number; f.size > bytes {
			return file, f.size - bytes, true
		}
		bytes -= f.size
	}
	return file, 0, false
}

// modified gives when a file was last written to.
func modified(files []logFile, number int64) time.Time {
	for _, f := range files {
		if f.number >= number {
			return f.modified
		}
	}
	return files[len(files)-1].modified
}

// offsetIn gives how far a place is from the beginning of the oldest file, as Nomad counts. It is false if the place's file is no
// longer there.
func offsetIn(files []logFile, file, offset int64) (from int64, ok bool) {
	if len(files) > 0 && file < files[0].number {
		return 0, false
	}
	for _, f := range files {
		if f.number < file {
			from += f.size
		}
	}
	return from + offset, true
}

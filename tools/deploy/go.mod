module github.com/hone-rl/hone/tools/deploy

go 1.26.8

require (
	github.com/compose-spec/compose-go/v2 v2.16.2 // indirect
	helm.sh/helm/v3 v3.21.4 // indirect
)

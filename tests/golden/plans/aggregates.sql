-- title: rows are counted
SELECT count(*) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: persons are counted once, however many rows they have
SELECT count(DISTINCT patient_id) FROM liver.conditions;
--> reads liver.conditions (at most 14 rows a person count): patient_id
--> measure 1: count of persons
--> each person counts with at most 14 rows
--> shows count(distinct patient_id): measure 1

-- title: a column's values are counted where they are there
SELECT count(bmi), count(age), count(1) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: count of rows where bmi is not null
--> measure 2: count of rows
--> each person counts with one row
--> shows count(bmi): measure 1
--> shows count(age): measure 2
--> shows count(1): measure 2

-- title: different values are counted
SELECT count(DISTINCT code) FROM liver.conditions;
--> reads liver.conditions (at most 14 rows a person count): patient_id, code
--> measure 1: count of different values of code
--> each person counts with at most 14 rows
--> shows count(distinct code): measure 1

-- title: a mean and a count share their count
SELECT avg(bmi), count(bmi), count(*) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where bmi is not null
--> measure 3: count of rows
--> each person counts with one row
--> shows avg(bmi): mean from measures 1 and 2, in kg/m2
--> shows count(bmi): measure 2
--> shows count(*): measure 3

-- title: a standard deviation adds a second moment to a mean
SELECT avg(bmi), stddev(bmi), stddev_samp(bmi), stddev_pop(bmi) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: sum of deviations squared of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 3: count of rows where bmi is not null
--> each person counts with one row
--> shows avg(bmi): mean from measures 1 and 3, in kg/m2
--> shows stddev(bmi): sample standard deviation from measures 1, 2 and 3, in kg/m2
--> shows stddev_samp(bmi): sample standard deviation from measures 1, 2 and 3, in kg/m2
--> shows stddev_pop(bmi): population standard deviation from measures 1, 2 and 3, in kg/m2

-- title: variances of samples and populations
SELECT variance(age), var_samp(age), var_pop(age) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, age
--> measure 1: sum of deviations of age, clamped to 18 .. 100 in steps of 1
--> measure 2: sum of deviations squared of age, clamped to 18 .. 100 in steps of 1
--> measure 3: count of rows
--> each person counts with one row
--> shows variance(age): sample variance from measures 1, 2 and 3
--> shows variance(age)_2: sample variance from measures 1, 2 and 3
--> shows var_pop(age): population variance from measures 1, 2 and 3

-- title: a sum of whole numbers is whole
SELECT sum(follow_up_days) AS days FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, follow_up_days
--> measure 1: sum of follow_up_days, clamped to 0 .. 7500 in steps of 1
--> each person counts with one row
--> shows days: measure 1, in days

-- title: true counts as one
SELECT sum(died), count_if(died), countif(age >= 65) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, age, died
--> measure 1: count of rows where age >= 65
--> measure 2: count of rows where died
--> each person counts with one row
--> shows sum(died): measure 2
--> shows count_if(died): measure 2
--> shows count_if(age >= 65): measure 1

-- title: the smallest, the largest and the middle are quantiles
SELECT min(age), median(age), max(age) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, age
--> measure 1: quantile 0 of age, clamped to 18 .. 100 in steps of 1, from 83 candidates
--> measure 2: quantile 1 of age, clamped to 18 .. 100 in steps of 1, from 83 candidates
--> measure 3: quantile 0.5 of age, clamped to 18 .. 100 in steps of 1, from 83 candidates
--> each person counts with one row
--> shows min(age): measure 1, in years
--> shows median(age): measure 3, in years
--> shows max(age): measure 2, in years

-- title: a quantile in its call forms
SELECT quantile_cont(bmi, 0.9), percentile_cont(0.9) WITHIN GROUP (ORDER BY bmi), percentile_cont(0.1) WITHIN GROUP (ORDER BY bmi DESC) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: quantile 0.9 of bmi, clamped to 10 .. 70 in steps of 0.01, from 1001 candidates
--> each person counts with one row
--> shows quantile_cont(bmi, 0.9): measure 1, in kg/m2
--> shows quantile_cont(bmi, 0.9 order by bmi): measure 1, in kg/m2
--> shows quantile_cont(bmi, 0.1 order by bmi desc): measure 1, in kg/m2

-- title: a wide column has at most 1,025 candidates
SELECT median(follow_up_days) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, follow_up_days
--> measure 1: quantile 0.5 of follow_up_days, clamped to 0 .. 7500 in steps of 1, from 938 candidates
--> each person counts with one row
--> shows median(follow_up_days): measure 1, in days

-- title: a filter on one aggregate
SELECT count(*) FILTER (WHERE bmi >= 30) AS obese, count(*) AS everyone FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: count of rows where bmi >= 30
--> measure 2: count of rows
--> each person counts with one row
--> shows obese: measure 1
--> shows everyone: measure 2

-- title: a sum over CASE
SELECT sum(CASE WHEN bmi > 30 THEN 1 ELSE 0 END), sum(CASE WHEN died THEN age END) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, age, bmi, died
--> measure 1: count of rows where bmi > 30
--> measure 2: sum of age, clamped to 18 .. 100 in steps of 1 where died
--> each person counts with one row
--> shows sum(case when bmi > 30 then 1 else 0 end): measure 1
--> shows sum(case when died then age end): measure 2, in years

-- title: arithmetic within a sum
SELECT avg(weight_kg / (height_cm / 100) ^ 2) AS bmi2 FROM liver.patients WHERE height_cm IS NOT NULL;
--> reads liver.patients (one row a person): patient_id, weight_kg, height_cm
--> keeps rows where height_cm is not null
--> measure 1: sum of deviations of weight_kg / power(height_cm / 100, 2), clamped to 6.198 .. 173.612 in steps of 0.001
--> measure 2: count of rows where (weight_kg / power(height_cm / 100, 2)) is not null
--> each person counts with one row
--> shows bmi2: mean from measures 1 and 2

-- title: rows of many are clamped to what the custodian declared
SELECT sum(value) FROM liver.measurements WHERE test = 'sbp';
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> keeps rows where test = 'sbp'
--> measure 1: sum of value, clamped to 60 .. 260 in steps of 0.01
--> each person counts with at most 60 rows
--> shows sum(value): measure 1

-- title: the same aggregate twice is taken once and titled apart
SELECT count(*), count(*) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1
--> shows count(*)_2: measure 1
